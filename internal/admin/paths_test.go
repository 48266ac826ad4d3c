package admin_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"mcpgateway/internal/admin"
	"mcpgateway/internal/config"
)

// TestOtherMethodsAndPaths: what is refused is told as every error is, with what is taken.
func TestOtherMethodsAndPaths(t *testing.T) {
	h := &house{}
	top := api(h)
	for request, want := range map[string]struct {
		status int
		allow  string
	}{
		"PUT /servers": {405, "GET, HEAD, POST"}, "DELETE /servers": {405, "GET, HEAD, POST"}, "PATCH /servers/a": {405, "DELETE"}, "GET /servers/a": {405, "DELETE"},
		"POST /tools": {405, "GET, HEAD"}, "POST /health": {405, "GET, HEAD"}, "DELETE /ready": {405, "GET, HEAD"},
		"GET /": {404, ""}, "POST /": {404, ""}, "GET /servers/": {404, ""}, "GET /servers/a/b": {404, ""}, "GET /metrics": {404, ""},
	} {
		method, path, _ := strings.Cut(request, " ")
		w := send(top, method, path, "")
		var answer struct{ Error string }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != want.status || answer.Error == "" ||
			w.Header().Get("Allow") != want.allow || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v %s", request, w.Code, w.Header(), w.Body)
		}
		if want.status == 404 && (!strings.Contains(answer.Error, "/mcp") || !strings.Contains(answer.Error, "docs/")) {
			t.Errorf("%s does not help: %s", request, answer.Error)
		}
	}
	if w := send(top, "HEAD", "/servers", ""); w.Code != http.StatusOK {
		t.Errorf("HEAD: %d", w.Code)
	}
	if len(h.defs)+len(h.removed) > 0 {
		t.Error("something was changed")
	}
}

// TestLists: an empty list is one, members are as documented, and definitions keep their bytes.
func TestLists(t *testing.T) {
	h := &house{}
	top := api(h)
	for path, want := range map[string]string{"/servers": "{\"servers\":[]}\n", "/tools": "{\"tools\":[]}\n"} {
		w := send(top, "GET", path, "")
		if w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s %v", path, w.Body, w.Header())
		}
	}
	h.defs = []config.Server{{Name: "a", Transport: "stdio"}}
	w := send(top, "GET", "/servers", "")
	var list struct{ Servers []map[string]json.RawMessage }
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{"name", "transport", "state", "reason", "protocol", "tools", "since", "restarts", "source"} {
		if list.Servers[0][member] == nil {
			t.Errorf("%s is missing in %s", member, w.Body)
		}
	}
	h.tools = []admin.Tool{
		{Server: "a", OriginName: "t", Dotted: "a.t", Safe: "a__t", Definition: []byte(`{"name":"a.t","x":{"z":1e400,"a":1.0},"inputSchema":{"type":"object"}}`)},
		{Server: `q"`, OriginName: "ü\n", Dotted: `d"`, Safe: "s", Definition: []byte(`{"originName":"forged","server":"forged","name":"q.x"}`)},
	}
	want := `{"tools":[{"name":"a.t","x":{"z":1e400,"a":1.0},"inputSchema":{"type":"object"},"server":"a","originName":"t","exposed":{"dotted":"a.t","safe":"a__t"}},` +
		`{"originName":"ü\n","server":"q\"","name":"q.x","exposed":{"dotted":"d\"","safe":"s"}}]}` + "\n"
	if w := send(top, "GET", "/tools", ""); !bytes.Equal(w.Body.Bytes(), []byte(want)) {
		t.Errorf("%s\nwant\n%s", w.Body, want)
	}
}
