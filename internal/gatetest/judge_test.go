package gatetest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"
)

const goodMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`

type headers map[string]string

// roundTrip sends one request by hand and gives status and body.
func roundTrip(t *testing.T, method, url, body string, h headers) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for k, v := range h {
		if r.Header.Set(k, v); v == "" {
			r.Header.Del(k)
		}
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

func TestStatelessServerIsStrict(t *testing.T) {
	s := New("echo")
	s.Tolerant = true
	s.Tools = append(s.Tools[:len(s.Tools):len(s.Tools)], Tool("é"), Tool("=?base64?eA==?="))
	url := StartStateless(t, s)
	call := func(params string) string {
		return `{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{` + params + `}}`
	}
	list := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{` + goodMeta + `}}`
	good := call(`"name":"raw","arguments":{},` + goodMeta)
	accent := call(`"name":"é",` + goodMeta)
	for _, c := range []struct {
		name   string
		body   string
		h      headers // over good ones
		status int
		code   string
	}{
		{"good", good, nil, 200, ""},
		{"name in base64", good, headers{"Mcp-Name": "=?base64?cmF3?="}, 200, ""},
		{"accent", accent, headers{"Mcp-Name": "=?base64?w6k=?="}, 200, ""},
		{"accent unencoded", accent, headers{"Mcp-Name": "é"}, 400, codeHeader},
		{"name like the sentinel", call(`"name":"=?base64?eA==?=",` + goodMeta), headers{"Mcp-Name": "=?base64?PT9iYXNlNjQ/ZUE9PT89?="}, 200, ""},
		{"sentinel not encoded", call(`"name":"=?base64?eA==?=",` + goodMeta), headers{"Mcp-Name": "=?base64?eA==?="}, 400, codeHeader},
		{"broken base64", good, headers{"Mcp-Name": "=?base64?cmF3*?="}, 400, codeHeader},
		{"no name", good, headers{"Mcp-Name": ""}, 400, codeHeader},
		{"wrong name", good, headers{"Mcp-Name": "Raw"}, 400, codeHeader},
		{"no method", good, headers{"Mcp-Method": ""}, 400, codeHeader},
		{"wrong method", good, headers{"Mcp-Method": "TOOLS/CALL"}, 400, codeHeader},
		{"no version header", good, headers{"MCP-Protocol-Version": ""}, 400, codeHeader},
		{"another version in the header", good, headers{"MCP-Protocol-Version": "2025-11-25"}, 400, codeHeader},
		{"unknown version", strings.Replace(good, "2026-07-28", "1900-01-01", 1), headers{"MCP-Protocol-Version": "1900-01-01"}, 400, codeVersion},
		{"no _meta", call(`"name":"raw"`), nil, 400, codeParams},
		{"no capabilities", strings.Replace(good, metaCapabilities, "x", 1), nil, 400, codeParams},
		{"no version in _meta", strings.Replace(good, metaVersion, "x", 1), nil, 400, codeParams},
		{"odd token", strings.Replace(good, `"_meta":{`, `"_meta":{"progressToken":1.5,`, 1), nil, 400, codeParams},
		{"unknown tool", call(`"name":"nope",` + goodMeta), headers{"Mcp-Name": "nope"}, 200, codeParams},
		{"ping is gone", strings.Replace(list, "tools/list", "ping", 1), headers{"Mcp-Method": "ping"}, 404, codeMethod},
		{"initialize of another era", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`, headers{"MCP-Protocol-Version": ""}, 400, codeHeader},
		{"no JSON", `{"jsonrpc":`, nil, 400, codeParse},
		{"batch", `[` + list + `]`, nil, 400, codeInvalid},
		{"id null", strings.Replace(list, `"id":1`, `"id":null`, 1), headers{"Mcp-Method": "tools/list"}, 400, codeInvalid},
		{"listen without filter", strings.Replace(list, "tools/list", "subscriptions/listen", 1), headers{"Mcp-Method": "subscriptions/listen"}, 200, codeParams},
		{"an answer", `{"jsonrpc":"2.0","id":1,"result":{}}`, nil, 400, ""},
		{"origin", good, headers{"Origin": "https://evil.example"}, 403, ""},
		{"accept", good, headers{"Accept": "application/json"}, 406, ""},
		{"content type", good, headers{"Content-Type": "text/plain"}, 415, ""},
	} {
		h := headers{"MCP-Protocol-Version": Stateless, "Mcp-Method": "tools/call", "Mcp-Name": "raw"}
		for k, v := range c.h {
			h[k] = v
		}
		res, body := roundTrip(t, "POST", url, c.body, h)
		if code := string(field([]byte(body), "error", "code")); res.StatusCode != c.status || code != c.code {
			t.Errorf("%s: %d %s, want %d %s", c.name, res.StatusCode, body, c.status, c.code)
		}
	}
	for _, method := range []string{"GET", "DELETE"} {
		if res, _ := roundTrip(t, method, url, "", nil); res.StatusCode != 405 {
			t.Errorf("%s: %d", method, res.StatusCode)
		}
	}
	if res, body := roundTrip(t, "POST", url, `{"jsonrpc":"2.0","method":"notifications/x"}`, nil); res.StatusCode != 202 || body != "" {
		t.Errorf("notification: %d %q", res.StatusCode, body)
	}
	if len(s.Faults()) == 0 {
		t.Error("no faults were noted")
	}
}

func TestStatefulServerKeepsSessions(t *testing.T) {
	s := New("echo")
	s.Tolerant = true
	url := StartStateful(t, s)
	hello := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`
	ping := `{"jsonrpc":"2.0","id":2,"method":"ping"}`
	if res, body := roundTrip(t, "POST", url, ping, nil); res.StatusCode != 400 {
		t.Errorf("no session: %d %s", res.StatusCode, body)
	}
	discover := `{"jsonrpc":"2.0","id":3,"method":"server/discover","params":{` + goodMeta + `}}`
	if res, body := roundTrip(t, "POST", url, discover, headers{"MCP-Protocol-Version": Stateless}); res.StatusCode != 400 || !strings.Contains(body, codeMethod) {
		t.Errorf("discover: %d %s", res.StatusCode, body)
	}
	res, body := roundTrip(t, "POST", url, hello, nil)
	session := res.Header.Get("Mcp-Session-Id")
	if res.StatusCode != 200 || session == "" || !strings.Contains(body, `"protocolVersion":"2025-06-18"`) {
		t.Fatalf("initialize: %d %v %s", res.StatusCode, res.Header, body)
	}
	h := headers{"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-06-18"}
	if res, body := roundTrip(t, "POST", url, ping, h); res.StatusCode != 200 || body != `{"jsonrpc":"2.0","id":2,"result":{}}` {
		t.Errorf("ping: %d %s", res.StatusCode, body)
	}
	if res, _ := roundTrip(t, "POST", url, ping, headers{"Mcp-Session-Id": session, "MCP-Protocol-Version": "1900-01-01"}); res.StatusCode != 400 {
		t.Errorf("unknown version: %d", res.StatusCode)
	}
	if res, _ := roundTrip(t, "DELETE", url, "", h); res.StatusCode != 200 {
		t.Errorf("DELETE: %d", res.StatusCode)
	}
	if res, _ := roundTrip(t, "POST", url, ping, h); res.StatusCode != 404 {
		t.Errorf("after DELETE: %d", res.StatusCode)
	}
}

func TestErasTellThemselvesApartOnLines(t *testing.T) {
	for _, c := range []struct {
		stateless bool
		line      string
		want      string
	}{
		{false, `{"jsonrpc":"2.0","id":"p","method":"server/discover","params":{` + goodMeta + `}}`, `"code":-32601`},
		{true, `{"jsonrpc":"2.0","id":"p","method":"server/discover","params":{` + goodMeta + `}}`, `"supportedVersions":["2026-07-28"]`},
		{true, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`, `"supported":["2026-07-28"]`},
		{true, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, `"code":-32602`},
		{false, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, `"code":-32600`},
	} {
		var out bytes.Buffer
		if err := New("echo").ServeLines(strings.NewReader(c.line+"\n"), &out, c.stateless); err != nil {
			t.Error(err)
		}
		if !strings.Contains(out.String(), c.want) || bytes.Count(out.Bytes(), []byte("\n")) != 1 {
			t.Errorf("%s\n%s", c.line, out.String())
		}
	}
}

func TestHeadersOfParametersAreChecked(t *testing.T) {
	s := New("headers")
	s.Tolerant = true
	c := DialStateless(t, StartStateless(t, s))
	args := `{"region":" Hello, 世界","where":{"zone":-7}}`
	a, err := CallTool(t.Context(), c, "raw", args)
	if err != nil || string(field(a.Error, "code")) != codeHeader {
		t.Errorf("without headers: %v, %v", a, err)
	}
	if _, _, err := ListTools(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := FirstText(mustCall(t, c, "raw", args)); got != args {
		t.Errorf("with headers: %s", got)
	}
	if got := FirstText(mustCall(t, c, "raw", `{"region":null}`)); got != `{"region":null}` {
		t.Errorf("without values: %s", got)
	}
}

func TestRoundsPass(t *testing.T) {
	c := DialStateless(t, StartStateless(t, New("rounds")))
	a, err := CallTool(t.Context(), c, "ask", `{}`)
	if err != nil || string(field(a.Error, "code")) != codeCapability || a.Status != 400 {
		t.Fatalf("without the capability: %v, %v", a, err)
	}
	meta := `"_meta":{"` + metaCapabilities + `":{"elicitation":{}}}`
	a, err = c.Do(t.Context(), "tools/call", `{"name":"ask",`+meta+`}`)
	if err != nil || string(field(a.Result, "resultType")) != `"input_required"` {
		t.Fatalf("first round: %v, %v", a, err)
	}
	answers := `{"name":{"action":"accept","content":{"name":"x","n":1.0}}}`
	a, err = c.Do(t.Context(), "tools/call", `{"name":"ask","inputResponses":`+answers+`,"requestState":`+string(field(a.Result, "requestState"))+`,`+meta+`}`)
	if err != nil || FirstText(a) != answers {
		t.Errorf("second round: %v, %v", a, err)
	}
}

func TestListenEndsWithAResult(t *testing.T) {
	for _, b := range bindings {
		if !strings.HasPrefix(b.name, "stateless") {
			continue
		}
		t.Run(b.name, func(t *testing.T) {
			s := New("echo")
			c := b.dial(t, s).(*core)
			s.EndListens()
			select {
			case <-c.listen.done:
			case <-time.After(guard):
				t.Fatal("the subscription did not end")
			}
			if c.listen.err != nil || string(field(c.listen.answer.Result, "_meta", metaSubscription)) != c.listen.ID {
				t.Errorf("%v %v", c.listen.answer, c.listen.err)
			}
			noStray(t, c)
		})
	}
}

func TestSessionsCanBeDropped(t *testing.T) {
	s := New("echo")
	c := DialStateful(t, StartStateful(t, s))
	s.DropSessions()
	if _, err := CallTool(t.Context(), c, "raw", `{}`); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("after the drop: %v", err)
	}
}

func TestEventsAreReadAsWritten(t *testing.T) {
	stream := "\ufeff: c\ndata: a\ndata:b\r\n\r\nevent: x\rid: 1\rdata:  c\r\rdata\n\nevent: y\n\nretry: 5\ndata: é\n\ndata: unfinished\n"
	for _, r := range []io.Reader{strings.NewReader(stream), iotest.OneByteReader(strings.NewReader(stream))} {
		var got []event
		if err := readEvents(r, func(e event) { got = append(got, e) }); err != nil {
			t.Fatal(err)
		}
		want := []event{{"", "a\nb"}, {"x", " c"}, {"", "é"}}
		if len(got) != len(want) {
			t.Fatalf("%q", got)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%q, want %q", got[i], want[i])
			}
		}
	}
}

func FuzzWalkReadsWhatJSONReads(f *testing.F) {
	for _, s := range append(odd, ` {"a\\\"":"\\\\","b":[{"c":"]}"}, -1e5 ] ,"é":tru`, `{"a":1,"a":2}`, `[1]`, `"`, `{"a`) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, ok := fields(raw) // must end, whatever it is given
		if !json.Valid(raw) || !utf8.Valid(raw) {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(raw, &want); (err == nil && want != nil) != ok {
			t.Fatalf("%q: %v, %v", raw, ok, err)
		}
		if len(got) != len(want) {
			t.Fatalf("%q: %d members, want %d", raw, len(got), len(want))
		}
		for k, v := range want {
			if !bytes.Equal(bytes.TrimSpace(got[k]), v) {
				t.Fatalf("%q: %q: %q, want %q", raw, k, got[k], v)
			}
		}
	})
}
