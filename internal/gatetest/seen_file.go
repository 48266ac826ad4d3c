package gatetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

const envSeen = "MCPGW_FAKE_SEEN" // the file that takes what a stdio server saw

// KeepSeen has a stdio server leave what it saw in a file when it ends; env is that of its
// command. Several may use one file.
func KeepSeen(env map[string]string, file string) { env[envSeen] = file }

// ReadSeen reads what KeepSeen's servers left.
func ReadSeen(file string) (all []Seen, err error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for d := json.NewDecoder(bytes.NewReader(raw)); ; {
		var s Seen
		if err := d.Decode(&s); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
}

// leaveSeen is one write, so that what several servers leave does not mix.
func (s *Server) leaveSeen() {
	file := os.Getenv(envSeen)
	if file == "" {
		return
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, one := range s.Seen() {
		if one.Kind == "" {
			one.Raw = json.RawMessage(quote(string(one.Raw))) // no JSON by itself
		}
		if err := e.Encode(one); err != nil {
			fmt.Fprintln(os.Stderr, "gatetest: "+err.Error())
		}
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.Write(b.Bytes())
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gatetest: "+err.Error())
	}
}
