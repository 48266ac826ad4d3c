package registry

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"mcpgateway/internal/config"
	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// TestServersAreReachedByName, past their lists.
func TestServersAreReachedByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		off := def("off")
		off.Enabled = false
		ok(t, h.Apply([]config.Server{def("a"), off}))
		if h.Capabilities("a") != nil {
			t.Error("capabilities before the start")
		}
		h.Start()
		h.WaitTried(t.Context())
		if h.Handler("a") == nil || h.Handler("A") != nil || h.Handler("off") != nil || h.Handler("") != nil {
			t.Error("handlers")
		}
		if got := string(h.Capabilities("a")); got != `{"tools":{}}` || h.Capabilities("off") != nil || h.Capabilities("") != nil {
			t.Errorf("capabilities %s", got)
		}
		var e *mcp.Error
		if _, err := h.WatchResource(t.Context(), "nobody", &mcp.Caller{}, "x:1", func(string) {}); !errors.As(err, &e) || e.Code != mcp.Unavailable {
			t.Errorf("%v", err)
		}
		if _, err := h.WatchResource(t.Context(), "a", &mcp.Caller{}, "x:1", func(string) {}); !errors.As(err, &e) || e.Code == mcp.Unavailable || !strings.Contains(err.Error(), `"a"`) {
			t.Errorf("%v", err)
		}
		h.Notify("", &mcp.Caller{}, mcp.NoteRootsListChanged, nil) // concerns nobody here
		h.Notify("nobody", &mcp.Caller{}, "x", nil)
	})
}

// TestPagesGoOnWhenServersGo: whoever reads page by page sees each of the others once.
func TestPagesGoOnWhenServersGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.Start()
		ok(t, h.Apply([]config.Server{def("a"), def("b"), def("c"), def("d")}))
		h.WaitTried(t.Context())
		var shown []string
		read := func(list []byte) {
			for e := range rawjson.Elements(rawjson.Get(append(list, '}'), "tools")) {
				name, _ := rawjson.Text(rawjson.Get(e, "name"))
				shown = append(shown, name)
			}
		}
		list, at := h.catalog.View().Page(mcp.Tools, mcp.Scope{}, nil, 2)
		read(list)
		ok(t, h.Remove(t.Context(), "a"))
		ok(t, h.Apply([]config.Server{def("new"), def("c"), def("d")})) // b goes as well
		h.WaitTried(t.Context())
		list, at = h.catalog.View().Page(mcp.Tools, mcp.Scope{}, at, 5)
		read(list)
		if got := strings.Join(shown, " "); !strings.HasPrefix(got, "a.t b.t ") || strings.Count(got, "c.t") != 1 || strings.Count(got, "d.t") != 1 || at != nil {
			t.Errorf("shown %s, %v", got, at)
		}
	})
}
