package streamable

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mcpgateway/internal/jsonrpc"
	"mcpgateway/internal/transport"
)

var quiet = log.New(io.Discard, "", 0)

func TestRequestsOnTheWire(t *testing.T) {
	seen := make(chan *http.Request, 1)
	bodies := make(chan string, 1)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		http.SetCookie(w, &http.Cookie{Name: "c", Value: "v"})
		writes(200, "Content-Type: application/json", answer)(w, r)
		seen <- r
		bodies <- string(b)
	})
	conn := dial(t, Params{URL: url + "/mcp?k=v", UserAgent: "gateway/1", Header: []transport.Header{
		{Name: "authorization", Value: "Bearer x"}, {Name: "MCP-Protocol-Version", Value: "wrong"},
		{Name: "Accept", Value: "text/html"}, {Name: "Accept-Encoding", Value: "gzip"}, {Name: "Host", Value: "other.example"},
	}})
	m := request("1")
	m.Body = []byte("{\"jsonrpc\":\"2.0\",\n\"id\":1,\"method\":\"m\"}")
	m.Header = []transport.Header{{Name: "Mcp-Protocol-Version", Value: "right"}, {Name: "Mcp-Name", Value: "=?base64?w7xiZXI=?="}}
	for range 2 { // the second one shows that no cookie comes back
		if _, err := conn.Do(bounded(t), m, nil); err != nil {
			t.Fatal(err)
		}
		r := <-seen
		if got := <-bodies; got != string(m.Body) {
			t.Errorf("body %q", got)
		}
		want := map[string]string{
			"Authorization": "Bearer x", "Mcp-Protocol-Version": "right", "Mcp-Name": "=?base64?w7xiZXI=?=",
			"Accept": "application/json, text/event-stream", "Accept-Encoding": "identity",
			"Content-Type": "application/json", "User-Agent": "gateway/1", "Content-Length": "",
		}
		for name := range r.Header {
			if len(r.Header[name]) != 1 || r.Header.Get(name) != want[name] && name != "Content-Length" {
				t.Errorf("%s: %q", name, r.Header[name])
			}
			delete(want, name)
		}
		if len(want) > 0 && !(len(want) == 1 && want["Content-Length"] == "") {
			t.Errorf("missing: %v", want)
		}
		if r.Method != "POST" || r.URL.String() != "/mcp?k=v" || r.Host != "other.example" || r.ContentLength != int64(len(m.Body)) {
			t.Errorf("%s %s, host %s, %d bytes", r.Method, r.URL, r.Host, r.ContentLength)
		}
	}
}

// A TCP connection serves the next call, whichever way the one before was answered.
func TestConnectionsAreUsedAgain(t *testing.T) {
	var opened atomic.Int64
	n := 0
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n++; n % 4 {
		case 0:
			writes(200, "Content-Type: application/json", answer)(w, r)
		case 1:
			w.Header().Set("Content-Type", eventStream)
			_, _ = w.Write(jsonrpc.AppendEvent(nil, "", "", []byte(answer)))
			_ = http.NewResponseController(w).Flush()
		case 2:
			writes(400, "Content-Type: application/json", answer)(w, r)
		case 3:
			w.WriteHeader(202)
		}
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	conn := dial(t, Params{URL: srv.URL})
	for range 40 {
		_, _ = conn.Do(bounded(t), request("1"), nil)
		waitForRest(t, conn)
	}
	if opened.Load() > 4 { // one, but for a machine so loaded that an answer does not end in its time
		t.Errorf("%d connections for 40 calls", opened.Load())
	}
}

// waitForRest waits until no answer's rest is being read.
func waitForRest(t *testing.T, conn *Conn) {
	t.Helper()
	for end := time.Now().Add(guard); conn.link.Resting() > 0; time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatal("the rest of an answer is still read")
		}
	}
}

// The message's bytes belong to the caller again once Do returns, also when the answer
// came before the server had read them; the race detector watches.
func TestBodyIsNotReadAfterDo(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		writes(413, "Content-Type: text/plain", "too long")(w, r)
	})
	conn := dial(t, Params{URL: url})
	for range 5 {
		m := request("1")
		m.Body = make([]byte, 2<<20)
		_, err := conn.Do(bounded(t), m, nil)
		if err == nil {
			t.Fatal("answered")
		}
		copy(m.Body, bytes.Repeat([]byte{'x'}, len(m.Body)))
	}
}

func TestSend(t *testing.T) {
	var status atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		code := int(status.Load())
		body := ""
		if code >= 300 {
			body = `{"jsonrpc":"2.0","error":{"code":1,"message":"m"}}`
		}
		writes(code, "Content-Type: application/json", body)(w, r)
	})
	conn := dial(t, Params{URL: url})
	note := transport.Message{Body: jsonrpc.AppendNotification(nil, "n", nil)}
	for _, code := range []int{202, 200, 204, 201} {
		status.Store(int64(code))
		if err := conn.Send(bounded(t), note); err != nil {
			t.Errorf("%d: %v", code, err)
		}
	}
	status.Store(400)
	refused, ok := conn.Send(bounded(t), note).(*transport.Status)
	if !ok || refused.Code != 400 || refused.Message == nil || !strings.Contains(string(refused.Message.Raw), `"code":1`) {
		t.Errorf("%+v", refused)
	}
}

// net/http sends some requests again by itself; none of ours.
func TestNothingIsSentTwice(t *testing.T) {
	var got atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got.Add(1) > 1 {
			panic(http.ErrAbortHandler) // on a connection that has served before
		}
		if r.Header.Get("Idempotency-Key") != "k" {
			t.Error("the key did not come")
		}
		writes(200, "Content-Type: application/json", answer)(w, r)
	})
	conn := dial(t, Params{URL: url, Header: []transport.Header{{Name: "Idempotency-Key", Value: "k"}}})
	if _, err := conn.Do(bounded(t), request("1"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Do(bounded(t), request("1"), nil); err == nil || got.Load() != 2 {
		t.Errorf("%v after %d requests", err, got.Load())
	}
}
