package listen

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
)

// A badMessage is one that no era accepts. META in its body stands for the _meta that the
// era at hand needs, without a comma.
type badMessage struct {
	body   string
	code   int
	id     string // of the answer; empty: none
	reason string // data.reason; empty: any
	http   bool   // it cannot be said on a line, or is another thing there
}

func call(params string) string {
	return `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":` + params + `}`
}

var badMessages = map[string]badMessage{
	"cut off":                  {body: `{"jsonrpc":"2.0","id":1,`, code: era.ParseError, id: "1"},
	"cut off before id":        {body: `{"jsonrpc":"2.0",`, code: era.ParseError},
	"no JSON":                  {body: `hello`, code: era.ParseError},
	"empty":                    {body: ``, code: era.ParseError, http: true},
	"blank":                    {body: `   `, code: era.ParseError, http: true},
	"a number":                 {body: `42`, code: era.InvalidRequest},
	"a string":                 {body: `"x"`, code: era.InvalidRequest},
	"null":                     {body: `null`, code: era.InvalidRequest},
	"true":                     {body: `true`, code: era.InvalidRequest},
	"an empty object":          {body: `{}`, code: era.InvalidRequest},
	"id 1.5":                   {body: request("1.5", "tools/list", ""), code: era.InvalidRequest, reason: "id"},
	"id 1e2":                   {body: request("1e2", "tools/list", ""), code: era.InvalidRequest, reason: "id"},
	"id 1.0":                   {body: request("1.0", "tools/list", ""), code: era.InvalidRequest, reason: "id"},
	"id 1e30":                  {body: request("1e30", "tools/list", ""), code: era.InvalidRequest, reason: "id"},
	"id null":                  {body: request("null", "tools/list", ""), code: era.InvalidRequest, reason: "id"},
	"id true":                  {body: request("true", "tools/list", ""), code: era.InvalidRequest, reason: "id"},
	"id an array":              {body: request("[]", "tools/list", ""), code: era.InvalidRequest, reason: "id"},
	"id an object":             {body: request("{}", "tools/list", ""), code: era.InvalidRequest, reason: "id"},
	"id of 21 digits":          {body: request("123456789012345678901", "tools/list", ""), code: era.InvalidRequest, reason: "id"},
	"id of 40 digits":          {body: request(strings.Repeat("9", 40), "tools/list", ""), code: era.InvalidRequest, reason: "id"},
	"id of 257 bytes":          {body: request(`"`+strings.Repeat("x", 257)+`"`, "tools/list", ""), code: era.InvalidRequest, reason: "id"},
	"id of 257 bytes, escaped": {body: request(`"`+strings.Repeat(`\u0061`, 257)+`"`, "tools/list", ""), code: era.InvalidRequest, reason: "id"},

	"two methods":       {body: `{"jsonrpc":"2.0","id":7,"method":"tools/list","method":"tools/call","params":{META}}`, code: era.ParseError, reason: "duplicate"},
	"two ids":           {body: `{"jsonrpc":"2.0","id":7,"id":8,"method":"tools/list","params":{META}}`, code: era.ParseError, reason: "duplicate"},
	"two params":        {body: `{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{META},"params":{}}`, code: era.ParseError, reason: "duplicate"},
	"escaped duplicate": {body: `{"jsonrpc":"2.0","id":7,"method":"tools/list","m\u0065thod":"tools/call","params":{META}}`, code: era.InvalidRequest, id: "7", reason: "lookalike"},
	"two names":         {body: call(`{"name":"ok","name":"forbidden",META}`), code: era.ParseError, id: "7", reason: "duplicate"},
	"two arguments":     {body: call(`{"name":"ok","arguments":{},"arguments":{"a":1},META}`), code: era.ParseError, id: "7", reason: "duplicate"},
	"name spelt twice":  {body: call(`{"name":"ok","n\u0061me":"forbidden",META}`), code: era.InvalidRequest, id: "7", reason: "lookalike"},
	"two _metas":        {body: call(`{"name":"ok",META,"_meta":{}}`), code: era.ParseError, id: "7", reason: "duplicate"},

	"Method":                 {body: `{"jsonrpc":"2.0","id":7,"method":"tools/list","Method":"tools/call","params":{META}}`, code: era.InvalidRequest, id: "7", reason: "lookalike"},
	"METHOD alone":           {body: `{"jsonrpc":"2.0","id":7,"METHOD":"tools/call","params":{META}}`, code: era.InvalidRequest, id: "7", reason: "lookalike"},
	"ID":                     {body: `{"jsonrpc":"2.0","id":7,"ID":8,"method":"tools/list","params":{META}}`, code: era.InvalidRequest, id: "7", reason: "lookalike"},
	"Name":                   {body: call(`{"name":"ok","Name":"evil",META}`), code: era.InvalidRequest, id: "7", reason: "lookalike"},
	"params with a long s":   {body: `{"jsonrpc":"2.0","id":7,"method":"tools/list","param` + "\u017f" + `":{},"params":{META}}`, code: era.InvalidRequest, id: "7", reason: "lookalike"},
	"params, escaped long s": {body: `{"jsonrpc":"2.0","id":7,"method":"tools/list","param\u017f":{},"params":{META}}`, code: era.InvalidRequest, id: "7", reason: "lookalike"},
	"name and a NUL":         {body: call(`{"name":"ok","name\u0000":"evil",META}`), code: era.InvalidRequest, id: "7", reason: "lookalike"},
	"Arguments":              {body: call(`{"name":"ok","Arguments":{},META}`), code: era.InvalidRequest, id: "7", reason: "lookalike"},

	"a raw NUL":            {body: "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/\x00list\",\"params\":{META}}", code: era.ParseError, id: "7"},
	"a NUL between tokens": {body: "{\"jsonrpc\":\"2.0\",\x00\"id\":7,\"method\":\"tools/list\"}", code: era.ParseError},
	"bytes FF FE":          {body: "\xff\xfe", code: era.ParseError},
	"no UTF-8":             {body: call("{\"name\":\"\xc0\x80\",META}"), code: era.ParseError, id: "7", reason: "utf8"},
	"no UTF-8, surrogate":  {body: call("{\"name\":\"\xed\xa0\x80\",META}"), code: era.ParseError, id: "7", reason: "utf8"},
	"a lone surrogate":     {body: call(`{"name":"ok","arguments":{"a":"\ud800"},META}`), code: era.ParseError, id: "7", reason: "surrogate"},
	"a byte order mark":    {body: "\ufeff" + `{"jsonrpc":"2.0","id":7,"method":"ping"}`, code: era.ParseError, id: "7"},
	"a word behind":        {body: `{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{META}} x`, code: era.ParseError, id: "7"},
	"two values":           {body: `{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{META}}{"jsonrpc":"2.0","id":8,"method":"ping"}`, code: era.ParseError, id: "7"},
	"two lines":            {body: `{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{META}}` + "\n" + `{"jsonrpc":"2.0","id":8,"method":"ping"}`, code: era.ParseError, id: "7", http: true},

	"one too deep":              {body: call(`{"name":"ok","arguments":` + nested(255) + `,META}`), code: era.InvalidRequest, id: "7", reason: "depth"},
	"9,000 deep":                {body: call(`{"name":"ok","arguments":` + nested(9_000) + `,META}`), code: era.InvalidRequest, id: "7", reason: "depth"},
	"40,000 deep":               {body: call(`{"name":"ok","arguments":` + nested(40_000) + `,META}`), code: era.InvalidRequest, id: "7", reason: "depth"},
	"2,000,000 brackets":        {body: strings.Repeat("[", 2_000_000), code: era.InvalidRequest, reason: "depth"},
	"2,000,000 brackets within": {body: `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"arguments":` + strings.Repeat("[", 2_000_000), code: era.InvalidRequest, id: "7", reason: "depth"},
	"too many tokens":           {body: call(`{"name":"ok","arguments":{"a":[` + strings.Repeat("1,", 200_001) + `1]},META}`), code: era.InvalidRequest, id: "7", reason: "tokens"},
	"too many tokens, an array": {body: `[` + strings.Repeat("1,", 200_001) + `1]`, code: era.InvalidRequest, reason: "tokens"},

	"jsonrpc 1.0":        {body: `{"jsonrpc":"1.0","id":7,"method":"tools/list","params":{META}}`, code: era.InvalidRequest, id: "7"},
	"no jsonrpc":         {body: `{"id":7,"method":"tools/list","params":{META}}`, code: era.InvalidRequest, id: "7"},
	"jsonrpc a number":   {body: `{"jsonrpc":2.0,"id":7,"method":"tools/list","params":{META}}`, code: era.InvalidRequest, id: "7"},
	"method a number":    {body: `{"jsonrpc":"2.0","id":7,"method":5,"params":{META}}`, code: era.InvalidRequest, id: "7"},
	"method empty":       {body: `{"jsonrpc":"2.0","id":7,"method":"","params":{META}}`, code: era.InvalidRequest, id: "7"},
	"method of 1 MB":     {body: `{"jsonrpc":"2.0","id":7,"method":"` + strings.Repeat("m", 1<<20) + `","params":{META}}`, code: era.InvalidRequest, id: "7"},
	"method with lines":  {body: `{"jsonrpc":"2.0","id":7,"method":"tools/call\r\nINFO ok\u001b[31m","params":{META}}`, code: era.InvalidRequest, id: "7"},
	"neither":            {body: `{"jsonrpc":"2.0","id":7}`, code: era.InvalidRequest, id: "7"},
	"request and result": {body: `{"jsonrpc":"2.0","id":7,"method":"tools/list","result":{},"params":{META}}`, code: era.InvalidRequest, id: "7"},

	"params an array":    {body: call(`[1]`), code: era.InvalidParams, id: "7", reason: "params"},
	"params a string":    {body: call(`"x"`), code: era.InvalidParams, id: "7", reason: "params"},
	"params null":        {body: call(`null`), code: era.InvalidParams, id: "7", reason: "params"},
	"_meta a string":     {body: call(`{"name":"ok","_meta":"x"}`), code: era.InvalidParams, id: "7", reason: "params"},
	"_meta null":         {body: call(`{"name":"ok","_meta":null}`), code: era.InvalidParams, id: "7", reason: "params"},
	"name a number":      {body: call(`{"name":7,META}`), code: era.InvalidParams, id: "7", reason: "params"},
	"name null":          {body: call(`{"name":null,META}`), code: era.InvalidParams, id: "7", reason: "params"},
	"arguments an array": {body: call(`{"name":"ok","arguments":[],META}`), code: era.InvalidParams, id: "7", reason: "params"},
	"arguments null":     {body: call(`{"name":"ok","arguments":null,META}`), code: era.InvalidParams, id: "7", reason: "params"},
}

func nested(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }

func (b badMessage) in(meta string) string { return strings.ReplaceAll(b.body, "META", meta) }

func (b badMessage) check(t *testing.T, body string) {
	t.Helper()
	wantError(t, body, b.code, b.id)
	if b.reason != "" {
		if e := open(t, body); e.Error != nil && string(e.Error.Data) != fmt.Sprintf(`{"reason":%q}`, b.reason) {
			t.Errorf("data is %s, want the reason %s", e.Error.Data, b.reason)
		}
	}
	if len(body) > 1000 {
		t.Errorf("the answer has %d bytes", len(body))
	}
}

const plainMeta = `"_meta":{"com.example/x":1}`

// TestBadMessagesOverHTTP: 400 and the right error, in both eras; nothing reaches the house.
func TestBadMessagesOverHTTP(t *testing.T) {
	f := newFront(t)
	id := f.login(newest)
	old := f.login(batches)
	for name, bad := range badMessages {
		t.Run(name, func(t *testing.T) {
			for era, c := range map[string]struct {
				meta   string
				header []string
			}{
				"stateless":    {ownMeta, mirror(mcp.ToolsCall, "ok")},
				"stateful":     {plainMeta, []string{era.HeaderSession, id, era.HeaderVersion, newest}},
				"with batches": {plainMeta, []string{era.HeaderSession, old}},
			} {
				g := f.post(bad.in(c.meta), c.header...)
				if g.status != http.StatusBadRequest || g.header.Get("Content-Type") != "application/json" {
					t.Errorf("%s: %.300s", era, g)
				}
				bad.check(t, g.body)
			}
			f.untouched()
		})
	}
	if g := f.post(ask("1", mcp.Tools.List(), ""), mirror(mcp.Tools.List(), "")...); g.status != http.StatusOK {
		t.Error(g)
	}
}

// TestBadMessagesOnAPipe: one line with the error, and the loop goes on.
func TestBadMessagesOnAPipe(t *testing.T) {
	f := newFront(t)
	for era, meta := range map[string]string{"stateless": ownMeta, "stateful": plainMeta} {
		c := f.pipe()
		c.login(newest)
		for name, bad := range badMessages {
			if bad.http {
				continue
			}
			t.Run(era+"/"+name, func(t *testing.T) {
				c.t = t
				c.send(bad.in(meta))
				bad.check(t, c.next())
				c.canary()
				f.untouched()
			})
		}
		c.send("", "   ", "\r")
		c.canary()
	}
}

// TestBadMessagesOverSSE: the same on the 2024-11-05 transport, where the answer comes on
// the stream.
func TestBadMessagesOverSSE(t *testing.T) {
	f := newFront(t)
	c := f.sse()
	for name, bad := range badMessages {
		t.Run(name, func(t *testing.T) {
			c.t = t
			if g := c.send(bad.in(plainMeta)); g.status != http.StatusAccepted || g.body != "" {
				t.Errorf("%.300s", g)
			}
			bad.check(t, c.next())
			f.untouched()
		})
	}
}

// TestLongLinesLoseOneMessage: the id is found though the line is not kept.
func TestLongLinesLoseOneMessage(t *testing.T) {
	f := newFront(t, func(s *setup) { s.Body = 128 << 10 })
	c := f.pipe()
	for _, line := range []string{
		`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"x":"` + strings.Repeat("x", 200<<10) + `"}}`,
		`{"jsonrpc":"2.0","method":"tools/call","params":{"x":"` + strings.Repeat("x", 200<<10) + `"},"id":7}`,
	} {
		c.send(line)
		wantError(t, c.next(), era.InvalidRequest, "7")
		c.canary()
	}
	c.send(`{"id":"` + strings.Repeat("x", 200<<10) + `"}`)
	wantError(t, c.next(), era.InvalidRequest, "")
	c.canary()
	f.untouched()
}

// TestAnIDOfMegabytesIsRefused by size alone.
func TestAnIDOfMegabytesIsRefused(t *testing.T) {
	f := newFront(t)
	g := f.post(ask(`"`+strings.Repeat("i", 5<<20)+`"`, mcp.Tools.List(), ""), mirror(mcp.Tools.List(), "")...)
	wantRefusal(t, g, http.StatusRequestEntityTooLarge)
	f.untouched()
}

// TestIDsComeBackByteForByte, in both eras, on HTTP, on a pipe and over SSE.
func TestIDsComeBackByteForByte(t *testing.T) {
	f := newFront(t)
	id := f.login(newest)
	p := f.pipe()
	p.login(newest)
	s := f.sse()
	s.send(hello("0", "2024-11-05"))
	s.next()
	s.send(initialized)
	for _, token := range []string{
		"0", "1", "-1", "-0", "007"[2:], "9007199254740993", "-9007199254740993", "12345678901234567890", "99999999999999999999",
		`""`, `"1"`, `"\u0000"`, `"\"\\\/"`, `"🦊"`, `"\ud83e\udd8a"`, `"ü\u00fc"`, `"` + strings.Repeat("x", 256) + `"`, `"` + strings.Repeat(`\u0061`, 256) + `"`,
	} {
		list := request(token, mcp.Tools.List(), "")
		want := `{"jsonrpc":"2.0","id":` + token + `,"result":{`
		for name, body := range map[string]string{
			"stateless":          f.post(ask(token, mcp.Tools.List(), ""), mirror(mcp.Tools.List(), "")...).body,
			"stateful":           f.post(list, era.HeaderSession, id).body,
			"stateless on pipe":  func() string { p.send(ask(token, mcp.Tools.List(), "")); return p.next() }(),
			"stateful on pipe":   func() string { p.send(list); return p.next() }(),
			"sse":                func() string { s.send(list); return s.next() }(),
			"unknown, stateless": strings.Replace(f.post(ask(token, "foo/bar", ""), mirror("foo/bar", "")...).body, `"error"`, `"result"`, 1),
		} {
			if !strings.HasPrefix(body, want) {
				t.Errorf("%s: %s came back as %.400s", name, token, body)
			}
		}
	}
}

// TestParamsArriveByteForByte: numbers, escapes, order and look-alikes within arguments are data.
func TestParamsArriveByteForByte(t *testing.T) {
	const arguments = `{ "z":12345678901234567890,"a":0.1000000000000000055511151231257827,"e":1e400,"n":-0,"name\u0000":1,"Name":"x","name":2,"name":3,` +
		`"s":"\u0000\ud83e\udd8a🦊\/","":"","deep":[[[{}]]],"_meta":{"io.modelcontextprotocol/protocolVersion":"x"},"1.0":1.0 }`
	const result = `{"structuredContent":{"b":1e400,"a":-0,"n":12345678901234567890},"content":[{"type":"odd","x":"\u0000"},{"type":"text","text":"t"}],"isError":false,"unknown":[1.0]}`
	f := newFront(t)
	seen := make(chan string, 1)
	f.answer(func(_ context.Context, c *mcp.Call) (*mcp.Reply, error) {
		seen <- string(c.Params.Raw)
		return &mcp.Reply{Result: []byte(result)}, nil
	})
	id := f.login(newest)
	p := f.pipe()
	p.login(newest)
	params := `"name":"ok","arguments":` + arguments + `,"odd":1.0`
	stateful := request("1", mcp.ToolsCall, params)
	for name, do := range map[string]func() string{
		"stateless":         func() string { return f.post(ask("1", mcp.ToolsCall, params), mirror(mcp.ToolsCall, "ok")...).body },
		"stateful":          func() string { return f.post(stateful, era.HeaderSession, id).body },
		"stateless on pipe": func() string { p.send(ask("1", mcp.ToolsCall, params)); return p.next() },
		"stateful on pipe":  func() string { p.send(stateful); return p.next() },
	} {
		body := do()
		if got := soon(t, "the call", seen); !strings.Contains(got, params) {
			t.Errorf("%s: the house got %s", name, got)
		}
		if inside := result[1 : len(result)-1]; !strings.Contains(body, inside) {
			t.Errorf("%s: the client got %s", name, body)
		}
	}
}

// TestResponsesFromClients: stateless ones must not send any; of stateful ones they are
// taken, and nothing comes of them.
func TestResponsesFromClients(t *testing.T) {
	f := newFront(t)
	id := f.login(newest)
	p := f.pipe()
	p.login(newest)
	for _, body := range []string{`{"jsonrpc":"2.0","id":1,"result":{}}`, `{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}`} {
		g := f.post(body, era.HeaderVersion, ahead)
		if g.status != http.StatusBadRequest {
			t.Errorf("stateless: %s", g)
		}
		wantError(t, g.body, era.InvalidRequest, "")
		if g := f.post(body, era.HeaderSession, id); g.status != http.StatusAccepted || g.body != "" {
			t.Errorf("stateful: %s", g)
		}
		if g := f.post(body); g.status != http.StatusBadRequest {
			t.Errorf("without a session: %s", g)
		}
		p.send(body)
		p.canary()
	}
	f.untouched()
}

// TestNotificationsAreTaken: known or not, nothing is answered.
func TestNotificationsAreTaken(t *testing.T) {
	f := newFront(t)
	id := f.login(newest)
	p := f.pipe()
	p.login(newest)
	for _, method := range []string{"notifications/initialized", "notifications/cancelled", "notifications/progress", "notifications/foo", "foo", "tools/call", "tools/list"} {
		body := `{"jsonrpc":"2.0","method":"` + method + `","params":{}}`
		own := `{"jsonrpc":"2.0","method":"` + method + `","params":{` + ownMeta + `}}`
		for name, g := range map[string]got{
			"stateful":         f.post(body, era.HeaderSession, id),
			"stateless":        f.post(own, mirror(method, "")...),
			"stateless, plain": f.post(body, mirror(method, "")...),
		} {
			if g.status != http.StatusAccepted || g.body != "" {
				t.Errorf("%s %s: %s", name, method, g)
			}
		}
		p.send(body, own)
		p.canary()
	}
	f.untouched()
}

// TestDepthIsCheap: two million brackets cost neither time nor memory.
func TestDepthIsCheap(t *testing.T) {
	f := newFront(t)
	c := f.pipe()
	line := strings.Repeat("[", 2_000_000)
	c.send(line) // once before, so that buffers are there
	c.next()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	c.send(line)
	c.next()
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 32<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
	if took > 2*time.Second { // 50 ms are asked for without -race; a stack or a retry shows here
		t.Errorf("it took %s", took)
	}
}
