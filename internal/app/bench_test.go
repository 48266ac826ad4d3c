package app_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
)

const (
	benchMeta  = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	benchCall  = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{"text":"The quick brown fox jumps over the lazy dog"},` + benchMeta + `}}`
	benchReply = `{"content":[{"type":"text","text":"The quick brown fox jumps over the lazy dog"}],"resultType":"complete"}`
)

// benchServer is the least that a stateless server can be.
func benchServer(b *testing.B) string {
	answers := map[string]string{
		"server/discover": `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private"}`,
		"tools/list":      `{"resultType":"complete","tools":[{"name":"echo","inputSchema":{"type":"object"}}],"ttlMs":3600000,"cacheScope":"private"}`,
		"tools/call":      benchReply,
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id := body[bytes.Index(body, []byte(`"id":`))+5:]
		id = id[:bytes.IndexByte(id, ',')]
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, id, answers[r.Header.Get("Mcp-Method")])
	}))
	b.Cleanup(s.Close)
	return s.URL
}

func benchPost(b *testing.B, c *http.Client, to, name string) {
	r, _ := http.NewRequest(http.MethodPost, to, bytes.NewReader(fmt.Appendf(nil, benchCall, name)))
	for k, v := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": name} {
		r.Header.Set(k, v)
	}
	resp, err := c.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(`quick brown fox`)) {
		b.Fatalf("%d %s %v", resp.StatusCode, body, err)
	}
}

func benchLoop(b *testing.B, to, name string) {
	t := &http.Transport{MaxIdleConnsPerHost: 64}
	b.Cleanup(t.CloseIdleConnections)
	c := &http.Client{Transport: t}
	benchPost(b, c, to, name)
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			benchPost(b, c, to, name)
		}
	})
}

// BenchmarkCall is one tools/call through the gateway, with client and server in the same
// process; compare it with the two controls of the same run.
func BenchmarkCall(b *testing.B) {
	b.Run("direct", func(b *testing.B) { benchLoop(b, benchServer(b), "echo") })
	b.Run("ReverseProxy", func(b *testing.B) {
		to, _ := url.Parse(benchServer(b))
		p := httputil.NewSingleHostReverseProxy(to)
		t := &http.Transport{MaxIdleConnsPerHost: 64}
		p.Transport = t
		s := httptest.NewServer(p)
		b.Cleanup(func() { s.Close(); t.CloseIdleConnections() })
		benchLoop(b, s.URL, "echo")
	})
	b.Run("gateway", func(b *testing.B) {
		g := startAt(b, slog.LevelInfo, fmt.Sprintf(`{"mcpServers":{"s":{"url":%q}}}`, benchServer(b))).ready()
		benchLoop(b, g.url+"/mcp", "s.echo")
	})
}
