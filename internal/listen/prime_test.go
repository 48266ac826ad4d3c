package listen

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mcpgateway/internal/era"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/session"
)

// TestStreamsArePrimed from 2025-11-25 on, also those that are resumed; before, events have
// ids and nothing else.
func TestStreamsArePrimed(t *testing.T) {
	f := newFront(t)
	p := f.puppet()
	for revision, primed := range map[string]bool{"2025-03-26": false, "2025-06-18": false, "2025-11-25": true} {
		id := f.login(revision)
		e := p.begin(f, id, "1", "a")
		for _, c := range []*eventClient{e, nil} {
			if c == nil {
				e.close()
				p.say("a", "1")
				c = f.again(id, e.id)
			}
			before := e.id
			got, _ := c.any()
			if primed {
				if !got.HasID || got.ID == "" || len(got.Data) > 0 || got.Retry != retryTime || (before != "" && got.ID != before) {
					t.Errorf("%s: the first event is %+v", revision, got)
				}
				got, _ = c.any()
			}
			if !got.HasID || got.ID == before || len(got.Data) == 0 || got.Retry != 0 {
				t.Errorf("%s: an event is %+v", revision, got)
			}
		}
		p.order("a", "=")
		if g := f.listen(id); primed {
			if got, _ := g.any(); !got.HasID || len(got.Data) > 0 || got.Retry != retryTime {
				t.Errorf("the GET stream begins with %+v", got)
			}
		}
	}
}

// TestNoIDs where the client does not know of resuming, or the answer is plain JSON.
func TestNoIDs(t *testing.T) {
	f := newFront(t)
	p := f.puppet()
	id := f.login("2024-11-05")
	none := func(name string, c *eventClient) {
		t.Helper()
		e, ok := c.any()
		if !ok || e.HasID || e.Retry != 0 || len(e.Data) == 0 {
			t.Errorf("%s: %+v", name, e)
		}
	}
	none("2024-11-05", p.begin(f, id, "1", "a"))
	g := f.again(id, "nonsense") // ignored
	f.feed.set("F1")
	none("GET in 2024-11-05", g)
	p.order("a", "=")
	s := f.sse()
	s.send(hello("0", newest))
	none("sse", s.eventClient)
	said := p.first("b")
	e := f.stream(http.MethodPost, "/mcp", ask("1", mcp.ToolsCall, `"name":"b"`), append(mirror(mcp.ToolsCall, "b"), headerLastEvent, "nonsense")...)
	none("stateless", e)
	soon(t, "the notification", said)
	p.order("b", "=")
	none("stateless", e)

	id = f.login(newest)
	for i := range 3 {
		answer := f.background(tool("1", "c"), era.HeaderSession, id)
		p.order("c", "=")
		if g := soon(t, "the answer", answer); g.header.Get("Content-Type") != "application/json" {
			t.Error(i, g)
		}
	}
	if e := p.begin(f, id, "1", "c"); e.hear(1) != "0" || !strings.HasSuffix(e.id, "-1-2") { // the session's first stream
		t.Errorf("plain answers made streams: %s", e.id)
	}
	p.order("c", "=")
}

// TestKeepAliveHasNoID; what opens a quiet stream does, where the client knows of it.
func TestKeepAliveHasNoID(t *testing.T) {
	for revision, want := range map[string]string{
		newest:       `50ms "id: T-1-1\nretry: 1000\ndata: \n\n" 15.05s ":\n\n" 26s "event: message\nid: T-1-2\ndata: {\"id\":1}\n\n"`,
		"2025-06-18": `10s ":\n\n" 25s ":\n\n" 26s "event: message\nid: T-1-1\ndata: {\"id\":1}\n\n"`,
		"2024-11-05": `10s ":\n\n" 25s ":\n\n" 26s "event: message\ndata: {\"id\":1}\n\n"`,
	} {
		synctest.Test(t, func(t *testing.T) {
			store := session.NewStore(session.Bounds{PerPrincipal: 1, All: 1, Idle: time.Hour})
			defer store.Close()
			one := store.New("a", mcp.Scope{})
			one.Open(revision, nil, mcp.Seen{})
			w := &noteWriter{ResponseRecorder: httptest.NewRecorder(), began: time.Now()}
			s := newStream(w, roomy(), nil)
			s.keep(one, true)
			time.Sleep(26 * time.Second)
			s.finish(era.Answer{Status: http.StatusOK, Body: []byte(`{"id":1}`)})
			said := strings.ReplaceAll(w.said(), "\n", " ")
			if s.log != nil {
				tag, _, _ := strings.Cut(strings.SplitAfter(said, "id: ")[1], "-")
				said = strings.ReplaceAll(said, tag+"-", "T-")
			}
			if said != want {
				t.Errorf("%s: %s\nwant %s", revision, said, want)
			}
		})
	}
}
