package config

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxProblems bounds what one document can make us say. Nobody reads further, and a
// stranger's body must not turn into an answer many times its size.
const maxProblems = 1000

// A Problem is one thing that is wrong, where it stands, and what would be right.
// Line and Column count from 1, columns in characters; both are 0 where no place in
// the file is meant. Path is the place in the user's words (mcpServers.github.url)
// and is empty for the whole document.
type Problem struct {
	File         string
	Line, Column int
	Path         string
	Message      string
}

func (p Problem) Error() string {
	if p.Path == "" {
		return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", p.File, p.Line, p.Column, p.Path, p.Message)
}

// Problems are all the problems of one document, in its order.
type Problems []Problem

// Error gives one problem a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find a single Problem.
func (p Problems) Unwrap() []error {
	errs := make([]error, len(p))
	for i := range p {
		errs[i] = p[i]
	}
	return errs
}

// A finding is a problem or warning before its offset became line and column.
type finding struct {
	at      int
	path    string
	message string
}

// located turns findings into Problems in the document's order. It walks the bytes
// once, however many findings there are.
func located(file string, data []byte, list []finding) []Problem {
	if len(list) == 0 {
		return nil
	}
	slices.SortStableFunc(list, func(a, b finding) int { return cmp.Compare(a.at, b.at) })
	more := 0
	if len(list) > maxProblems {
		more = len(list) - maxProblems
		list = list[:maxProblems]
	}
	problems := make([]Problem, 0, len(list)+1)
	line, column, from := 1, 1, 0
	for _, f := range list {
		part := data[from:f.at]
		if n := bytes.Count(part, []byte("\n")); n > 0 {
			line += n
			column = 1
			part = part[bytes.LastIndexByte(part, '\n')+1:]
		}
		column += utf8.RuneCount(part)
		from = f.at
		problems = append(problems, Problem{file, line, column, f.path, f.message})
	}
	if more > 0 {
		problems = append(problems, Problem{file, line, column, "", fmt.Sprintf("and %d more after this place", more)})
	}
	return problems
}
