package interop

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// compare tells how what came of a step differs from what came of it directly.
func (w way) compare(s step, got said, direct way, want said) []string {
	var problems []string
	tell := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	switch {
	case s.want != "":
		if text := resultText(got.Result); !strings.Contains(text, s.want) {
			tell("result %s, error %s, want %q", got.Result, got.Error, s.want)
		}
	case len(want.Error) > 0 || len(got.Error) > 0:
		if a, b := w.plain(got.Error), direct.plain(want.Error); a != b {
			tell("result %s, error\n%s\nwant\n%s", got.Result, a, b)
		}
	case !s.random:
		if a, b := w.plain(got.Result), direct.plain(want.Result); a != b {
			tell("result\n%s\nwant\n%s", a, b)
		}
	}
	gotAsked, complaints := w.questions(got.Asked)
	problems = append(problems, complaints...)
	wantAsked, _ := direct.questions(want.Asked)
	switch s.asked {
	case asDirectly:
		if !slices.Equal(gotAsked, wantAsked) {
			tell("asked were\n%s\nwant\n%s", strings.Join(gotAsked, "\n"), strings.Join(wantAsked, "\n"))
		}
	case twoQuestions:
		if len(gotAsked) != 2 {
			tell("asked were\n%s\nwant two questions", strings.Join(gotAsked, "\n"))
		}
	}
	for method, n := range s.Await {
		a, b := w.notes(got.Heard, method), direct.notes(want.Heard, method)
		if len(b) < n {
			tell("directly only %d %s came: %v", len(b), method, b)
		} else if len(a) < n {
			tell("only %d %s came, want %d", len(a), method, n)
		} else if !s.random && !slices.Equal(a[:n], b[:n]) {
			tell("%s were\n%s\nwant\n%s", method, strings.Join(a, "\n"), strings.Join(b, "\n"))
		}
	}
	return problems
}

// questions are what was asked, in an order of their own, and what is wrong with them. A gateway says
// whose an elicitation is; identifiers belong to one revision.
func (w way) questions(asked []heard) (out, problems []string) {
	for _, q := range asked {
		if q.Method == "roots/list" {
			continue // servers ask for roots when they like, and the result shows whether they have them
		}
		var params map[string]any
		if json.Unmarshal(q.Params, &params) != nil {
			params = map[string]any{}
		}
		if q.Method == "elicitation/create" {
			message, _ := params["message"].(string)
			if !w.direct {
				rest, ok := strings.CutPrefix(message, w.server.name+": ")
				if params["message"] = rest; !ok {
					problems = append(problems, fmt.Sprintf("the question does not say whose it is: %s", q.Params))
				}
			}
			delete(params, "elicitationId")
			if params["mode"] == "form" {
				delete(params, "mode")
			}
		}
		out = append(out, q.Method+" "+w.plain(json.RawMessage(mustJSON(params))))
	}
	slices.Sort(out)
	return out, problems
}

func (w way) notes(all []heard, method string) []string {
	var out []string
	for _, h := range ofMethod(all, method) {
		out = append(out, w.plain(h.Params))
	}
	return out
}

var (
	clock = regexp.MustCompile(`\d{1,2}:\d\d:\d\d( [AP]M)?`)
	uuid  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
)

// plain is JSON without what belongs to one hop, one moment or one cell.
func (w way) plain(raw json.RawMessage) string {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return string(raw)
	}
	return mustJSON(w.scrubbed(v))
}

func (w way) scrubbed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range []string{"_meta", "resultType", "ttlMs", "cacheScope", "progressToken"} {
			delete(v, key)
		}
		for key, member := range v {
			v[key] = w.scrubbed(member)
		}
	case []any:
		for i, member := range v {
			v[i] = w.scrubbed(member)
		}
	case string:
		if rest, ok := strings.CutPrefix(v, "mcp-gateway:"+w.server.name+"/"); ok {
			if template, ok := strings.CutPrefix(rest, "/"); ok {
				v = template
			} else if origin, err := url.PathUnescape(rest); err == nil {
				v = origin
			}
		}
		v = strings.ReplaceAll(v, w.cell, "CELL")
		return uuid.ReplaceAllString(clock.ReplaceAllString(v, "TIME"), "UUID")
	}
	return v
}

func resultText(raw json.RawMessage) string {
	var r struct{ Content []struct{ Text string } }
	if json.Unmarshal(raw, &r) != nil {
		return ""
	}
	var texts []string
	for _, c := range r.Content {
		texts = append(texts, c.Text)
	}
	return strings.Join(texts, "\n")
}
