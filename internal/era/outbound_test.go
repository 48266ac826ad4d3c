package era

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/transport"
)

var bounds = ListBounds{Pages: 100, Entries: 2000, Time: 10 * time.Second}

// pages answers with the given results, one after the other, and keeps the cursors.
func pages(cursors *[]string, results ...string) func(context.Context, []byte) ([]byte, error) {
	n := 0
	return func(_ context.Context, params []byte) ([]byte, error) {
		*cursors = append(*cursors, string(rawjson.Get(params, "cursor")))
		n++
		if n > len(results) {
			return nil, errors.New("the connection was lost")
		}
		return []byte(results[n-1]), nil
	}
}

func TestFollow(t *testing.T) {
	tests := []struct {
		name    string
		results []string
		tools   string
		cursors []string
		partial string // empty: whole
		ttl     time.Duration
	}{
		{"one page", []string{`{"tools":[1,{"a": 1.0}]}`}, `1 {"a": 1.0}`, []string{""}, "", 0},
		{"no tools", []string{`{"tools":[]}`}, ``, []string{""}, "", 0},
		{"three pages", []string{`{"tools":[1],"nextCursor":"a"}`, `{"nextCursor":"\u0062","tools":[2]}`, `{"tools":[3]}`}, "1 2 3", []string{"", `"a"`, `"\u0062"`}, "", 0},
		{"an empty cursor is one", []string{`{"tools":[1],"nextCursor":""}`, `{"tools":[2]}`}, "1 2", []string{"", `""`}, "", 0},
		{"a null cursor is none", []string{`{"tools":[1],"nextCursor":null}`}, "1", []string{""}, "", 0},
		{"a repeated cursor", []string{`{"tools":[1],"nextCursor":"a"}`, `{"tools":[2],"nextCursor":"a"}`}, "1 2", []string{"", `"a"`}, "repeated the cursor of page 2", 0},
		{"a cursor of before", []string{`{"tools":[1],"nextCursor":"a"}`, `{"tools":[2],"nextCursor":"b"}`, `{"tools":[3],"nextCursor":"a"}`}, "1 2 3", []string{"", `"a"`, `"b"`}, "repeated the cursor of page 3", 0},
		{"a page that fails", []string{`{"tools":[1],"nextCursor":"a"}`}, "1", []string{"", `"a"`}, "page 2 of the list did not come: the connection was lost", 0},
		{"a page that is none", []string{`{"tools":[1],"nextCursor":"a"}`, `{"tools":{}}`}, "1", []string{"", `"a"`}, `page 2 of the list has no array "tools"`, 0},
		{"lifetimes", []string{`{"tools":[],"nextCursor":"a","ttlMs":9000}`, `{"tools":[],"nextCursor":"b","ttlMs":4000}`, `{"tools":[],"ttlMs":8000}`}, "", []string{"", `"a"`, `"b"`}, "", 4 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var cursors []string
			l, err := Follow(t.Context(), mcp.Tools, bounds, pages(&cursors, tt.results...))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, tool := range l.Entries {
				got = append(got, string(tool))
			}
			if strings.Join(got, " ") != tt.tools {
				t.Errorf("tools %q", got)
			}
			if fmt.Sprintf("%q", cursors) != fmt.Sprintf("%q", tt.cursors) {
				t.Errorf("cursors %q", cursors)
			}
			if (l.Partial == "") != (tt.partial == "") || !strings.Contains(l.Partial, tt.partial) {
				t.Errorf("partial %q", l.Partial)
			}
			if l.TTL != tt.ttl {
				t.Errorf("ttl %v", l.TTL)
			}
		})
	}
}

func TestFollowNeedsAFirstPage(t *testing.T) {
	var cursors []string
	for _, results := range [][]string{nil, {`{}`}, {`{"tools":null}`}, {`{"prompts":[]}`}} {
		if l, err := Follow(t.Context(), mcp.Tools, bounds, pages(&cursors, results...)); err == nil || l != nil {
			t.Errorf("%q gave %v", results, l)
		}
	}
}

// TestFollowEnds: a list that does not end by itself is cut, and what came is kept.
func TestFollowEnds(t *testing.T) {
	tests := []struct {
		name  string
		b     ListBounds
		tools string // of each page
		wait  time.Duration
		pages int
		want  int
		why   string
	}{
		{"pages", bounds, "1", 0, 100, 100, "cut at 100 pages"},
		{"entries", bounds, strings.TrimSuffix(strings.Repeat("1,", 30), ","), 0, 67, 2000, "cut at 2000 entries"},
		{"bytes", bounds, `"` + strings.Repeat("x", 4<<20) + `"`, 0, 8, 8, "bytes"},
		{"time", bounds, "1", 3 * time.Second, 4, 3, "the list took longer than 10s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, n := time.Now(), 0
				l, err := Follow(t.Context(), mcp.Tools, tt.b, func(ctx context.Context, _ []byte) ([]byte, error) {
					n++
					select {
					case <-time.After(tt.wait):
					case <-ctx.Done():
						return nil, ctx.Err()
					}
					return fmt.Appendf(nil, `{"tools":[%s],"nextCursor":"%d"}`, tt.tools, n), nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if n != tt.pages || len(l.Entries) != tt.want || !strings.Contains(l.Partial, tt.why) {
					t.Errorf("%d pages, %d entries, %q", n, len(l.Entries), l.Partial)
				}
				if d := time.Since(began); d > 10*time.Second {
					t.Errorf("it took %v", d)
				}
			})
		})
	}
}

// TestFollowTellsWhoseTimeIsOver: the caller's reason is told, where that came first.
func TestFollowTellsWhoseTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeoutCause(t.Context(), time.Second, errors.New("the start took too long"))
		defer stop()
		_, err := Follow(ctx, mcp.Tools, bounds, func(ctx context.Context, _ []byte) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() })
		if err == nil || !strings.Contains(err.Error(), "the start took too long") {
			t.Error(err)
		}
	})
}

func TestLifetimes(t *testing.T) {
	for ttl, want := range map[string]time.Duration{
		"5000": 5 * time.Second, "0": 0, "-1": 0, `"5000"`: 0, "": 0, "null": 0, "1.5": 0, "1e3": 0, "true": 0, "86400000": maxTTL,
		"1000000000000000000": maxTTL, "99999999999999999999999": 0, "9223372036854775807": maxTTL,
	} {
		if got := shorter(0, []byte(ttl)); got != want {
			t.Errorf("ttlMs %s is %v, want %v", ttl, got, want)
		}
	}
	if shorter(time.Second, []byte("5000")) != time.Second || shorter(time.Second, []byte("1")) != time.Millisecond || shorter(time.Second, nil) != time.Second {
		t.Error("the shorter lifetime holds")
	}
}

func TestCallParams(t *testing.T) {
	tests := []struct{ name, raw, meta, sent, want string }{
		{"name only", `{"name":"s.t","arguments":{"name":"s.t","n":1.0}}`, "", "", `{"name":"t","arguments":{"name":"s.t","n":1.0}}`},
		{"unknown members and space pass", "{ \"x\" : [1e400] ,\n\"name\" : \"s.t\", \"n\":90071992547409931 }", "", "", "{ \"x\" : [1e400] ,\n\"name\" : \"t\", \"n\":90071992547409931 }"},
		{"meta is replaced in its place", `{"_meta":{"a":1},"name":"s.t"}`, `{"a":1}`, `{"b":2}`, `{"_meta":{"b":2},"name":"t"}`},
		{"meta is taken out", `{"_meta":{"progressToken":1},"name":"s.t"}`, `{"progressToken":1}`, "", `{"name":"t"}`},
		{"meta is added", `{"name":"s.t"}`, "", `{"b":2}`, `{"name":"t","_meta":{"b":2}}`},
		{"the origin name is encoded", `{"name":"s.quote\"d"}`, "", "", `{"name":"quote\"d"}`},
	}
	for _, tt := range tests {
		origin := "t"
		if strings.Contains(tt.raw, "quote") {
			origin = `quote"d`
		}
		c := &mcp.Call{Method: mcp.ToolsCall, Name: "s." + origin, Target: mcp.Target{Origin: origin}, Params: mcp.Params{Raw: []byte(tt.raw), Meta: slice(tt.meta)}}
		if got := string(CallParams(c, slice(tt.sent))); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if string(c.Params.Raw) != tt.raw {
			t.Errorf("%s: the sender's bytes were written to", tt.name)
		}
	}
	for method, raw := range map[string]string{
		mcp.PromptsGet: `{"name":"%s"}`, mcp.ResourcesRead: `{"uri":"%s"}`, mcp.Subscribe: `{"uri":"%s"}`, mcp.Unsubscribe: `{"uri":"%s"}`,
		mcp.TasksGet: `{"taskId":"%s"}`, mcp.TasksUpdate: `{"inputResponses":{"taskId":1}, "taskId":"%s"}`, mcp.TasksCancel: `{"taskId":"%s"}`,
		mcp.Completion: `{"ref":{"type":"ref/prompt","name":"%s"},"argument":{"name":"s.t"}}`, "x-acme/echo": `{"name":"s.t"}`,
	} {
		origin := strings.ReplaceAll(raw, "%s", "t")
		c := &mcp.Call{Method: method, Name: "s.t", Target: mcp.Target{Origin: "t"}, Params: mcp.Params{Raw: []byte(strings.ReplaceAll(raw, "%s", "s.t"))}}
		if got := string(CallParams(c, nil)); got != origin {
			t.Errorf("%s: %s, want %s", method, got, origin)
		}
	}
	same := &mcp.Call{Name: "t", Target: mcp.Target{Origin: "t"}, Params: mcp.Params{Raw: []byte(`{"name":"t"}`)}}
	if got := CallParams(same, nil); &got[0] != &same.Params.Raw[0] {
		t.Error("params that need no change are copied")
	}
}

// slice is nil for an empty string.
func slice(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

func TestCleanMeta(t *testing.T) {
	tests := []struct {
		meta string
		add  []rawjson.Edit
		want string
	}{
		{`{"traceparent":"x","n":1.0}`, nil, `{"traceparent":"x","n":1.0}`},
		{`{"progressToken":1}`, nil, ``},
		{`{}`, nil, `{}`},
		{``, nil, ``},
		{`{"a":1,"progressToken":"p","io.modelcontextprotocol/clientInfo":{},"io.modelcontextprotocol/other":2}`, nil, `{"a":1,"io.modelcontextprotocol/other":2}`},
		{`{"a":1,"progressToken":"p","b":2}`, []rawjson.Edit{{Key: "progressToken", Value: []byte("7")}}, `{"a":1,"progressToken":7,"b":2}`},
		{`{"a":1}`, []rawjson.Edit{{Key: "progressToken", Value: []byte("7")}}, `{"a":1,"progressToken":7}`},
		{``, []rawjson.Edit{{Key: "progressToken", Value: []byte("7")}}, `{"progressToken":7}`},
		{`{"PROGRESSTOKEN":1,"xprogressToken":2}`, nil, `{"PROGRESSTOKEN":1,"xprogressToken":2}`},
	}
	for _, key := range mcp.HopMeta {
		tests = append(tests, struct {
			meta string
			add  []rawjson.Edit
			want string
		}{`{"a":1,"` + key + `":{"x":[1]},"b":2}`, nil, `{"a":1,"b":2}`})
	}
	for _, tt := range tests {
		if got := string(CleanMeta(slice(tt.meta), tt.add...)); got != tt.want {
			t.Errorf("%s with %s is %s, want %s", tt.meta, tt.add, got, tt.want)
		}
	}
}

func TestCleanResult(t *testing.T) {
	tests := []struct {
		result string
		drop   []string
		want   string
	}{
		{`{"content":[],"x":1.0}`, []string{"ttlMs"}, ``},
		{`{"resultType":"complete","content":[{"resultType":1}],"ttlMs":5,"cacheScope":"public"}`, []string{MemberType, MemberTTL, MemberScope}, `{"content":[{"resultType":1}]}`},
		{`{"content":[],"_meta":{"io.modelcontextprotocol/serverInfo":{},"k":1}}`, nil, `{"content":[],"_meta":{"k":1}}`},
		{`{"_meta":{"io.modelcontextprotocol/serverInfo":{}},"content":[]}`, nil, `{"content":[]}`},
		{`{"_meta":7}`, nil, ``},
		{`{"_meta":{"k":{"progressToken":1}}}`, nil, ``},
	}
	for _, tt := range tests {
		in := []byte(tt.result)
		got := CleanResult(in, tt.drop...)
		if tt.want == "" {
			if &got[0] != &in[0] || len(got) != len(in) {
				t.Errorf("%s is copied, to %s", in, got)
			}
		} else if string(got) != tt.want {
			t.Errorf("%s is %s, want %s", in, got, tt.want)
		}
	}
}

type notes []string

func (n *notes) Notify(_ context.Context, method string, params []byte) error {
	*n = append(*n, method+" "+string(params))
	return nil
}

func (n *notes) Ask(context.Context, string, []byte) ([]byte, error) { panic("nobody asks") }

// TestRelay: progress of this call only, under the caller's own token, otherwise as it is;
// log lines; and what nobody knows where the caller sees this server alone.
func TestRelay(t *testing.T) {
	said := []string{
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1.0,"progressToken":7,"x":[1e400]}}`,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":2,"progressToken":"7"}}`,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":3,"progressToken":8}}`,
		`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":4}}`,
		`{"jsonrpc":"2.0","method":"notifications/progress"}`,
		`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":{"n":1.0},"_meta":{"progressToken":7,"k":1}}}`,
		`{"jsonrpc":"2.0","method":"x/y","params":{"z":1.0}}`,
		`{"jsonrpc":"2.0","id":7,"method":"notifications/progress","params":{"progressToken":7}}`,
	}
	progress := `notifications/progress {"progress":1.0,"progressToken":"their \u0074oken","x":[1e400]}`
	line := `notifications/message {"level":"info","data":{"n":1.0},"_meta":{"k":1}}`
	for _, tt := range []struct {
		token, server string
		want          []string
	}{
		{`"their \u0074oken"`, "", []string{progress, line}},
		{"", "", []string{line}},
		{"", "s", []string{line, `x/y {"z":1.0}`}},
	} {
		var got notes
		c := &mcp.Call{Back: &got, From: &mcp.Caller{Scope: mcp.Scope{Server: tt.server}}, Params: mcp.Params{ProgressToken: slice(tt.token)}}
		relay := Relay(t.Context(), c, []byte("7"))
		for _, line := range said {
			m, err := jsonrpc.Parse([]byte(line), jsonrpc.ServerLimits)
			if err != nil {
				t.Fatal(err)
			}
			relay(m)
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.want) {
			t.Errorf("token %s, server %q: the caller got %q, want %q", tt.token, tt.server, got, tt.want)
		}
	}
}

func TestVia(t *testing.T) {
	for _, tt := range []struct{ sent, own, want string }{
		{``, "", ``},
		{`{"mcp-gateway/via":["a"]}`, "", `{"mcp-gateway/via":["a"]}`},
		{``, "me", `{"mcp-gateway/via":["me"]}`},
		{`{"k":1.0}`, "me", `{"k":1.0,"mcp-gateway/via":["me"]}`},
		{`{"mcp-gateway/via":["a", "\u0062"],"k":1}`, "me", `{"mcp-gateway/via":["a","\u0062","me"],"k":1}`},
		{`{"mcp-gateway/via":7}`, "me", `{"mcp-gateway/via":["me"]}`},
	} {
		if got := string(CleanMeta(slice(tt.sent), Via(slice(tt.sent), tt.own)...)); got != tt.want {
			t.Errorf("%s by way of %q is %s", tt.sent, tt.own, got)
		}
	}
}

func TestUnavailable(t *testing.T) {
	remote := &mcp.Remote{Raw: []byte(`{"code":1}`), Number: 1}
	if got := Unavailable("s", fmt.Errorf("x: %w", remote)); got != error(remote) {
		t.Errorf("a server's error became %v", got)
	}
	if got := Unavailable("s", &Refusal{remote, &transport.Status{Code: 400}}); got != error(remote) {
		t.Errorf("a server's error with a status became %v", got)
	}
	for _, tt := range []struct {
		err    error
		code   mcp.Code
		reason string
	}{
		{fmt.Errorf("%w: reset", transport.ErrClosed), mcp.Unavailable, "server_down"},
		{transport.ErrUnreachable, mcp.Unavailable, "server_down"},
		{fmt.Errorf("a timeout of the network's own: %w", context.DeadlineExceeded), mcp.Unavailable, "server_down"},
		{fmt.Errorf("%w: x", jsonrpc.ErrAnswer), mcp.Internal, "server_invalid"},
		{&transport.Status{Code: 503, Text: "secret"}, mcp.Unavailable, "server_refused"},
	} {
		var e *mcp.Error
		if !errors.As(Unavailable("s", tt.err), &e) || e.Code != tt.code || e.Reason != tt.reason || !errors.Is(e, tt.err) || strings.Contains(e.Message, "secret") {
			t.Errorf("%v became %#v", tt.err, e)
		}
	}
}

func TestReadAnswer(t *testing.T) {
	parse := func(s string) *jsonrpc.Message {
		m, err := jsonrpc.Parse([]byte(s), jsonrpc.ServerLimits)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if got, err := ReadAnswer(parse(`{"jsonrpc":"2.0","id":1,"result":{"a": 1.0}}`), nil); err != nil || string(got) != `{"a": 1.0}` {
		t.Errorf("%s, %v", got, err)
	}
	failure := parse(`{"jsonrpc":"2.0","id":1,"error":{"message":"m","code":-5}}`)
	var remote *mcp.Remote
	if _, err := ReadAnswer(failure, nil); !errors.As(err, &remote) || remote.Number != -5 || string(remote.Raw) != `{"message":"m","code":-5}` {
		t.Errorf("%v", err)
	}
	var status *transport.Status
	_, err := ReadAnswer(nil, &transport.Status{Code: 404, Message: failure})
	if !errors.As(err, &remote) || !errors.As(err, &status) || status.Code != 404 {
		t.Errorf("%v", err)
	}
	_, err = ReadAnswer(nil, &transport.Status{Code: 404})
	if !errors.As(err, &status) || AsRemote(err) != nil {
		t.Errorf("%v", err)
	}
	for raw, want := range map[string]int{`{"code":-32601}`: -32601, `{"code":"x"}`: InternalError, `{}`: InternalError, `{"code":1.5}`: InternalError, `{"code":99999999999999999999}`: InternalError} {
		if got := ReadRemote([]byte(raw)); got.Number != want || string(got.Raw) != raw {
			t.Errorf("%s is %d", raw, got.Number)
		}
	}
}

// TestIDsOfBothErasNeverMeet: both may be asked over one connection.
func TestIDsOfBothErasNeverMeet(t *testing.T) {
	a, b := &Link{First: FirstStateful}, &Link{First: FirstStateless}
	seen := map[string]bool{}
	for range 1000 {
		for _, l := range []*Link{a, b} {
			id := string(l.NextID())
			if seen[id] || jsonrpc.ValidID([]byte(id), jsonrpc.ClientLimits) != nil {
				t.Fatalf("id %s", id)
			}
			seen[id] = true
		}
	}
}
