package gatetest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// A listing is one of the lists that a server may have.
type listing struct {
	capability string
	member     string // of its results
	changed    string // the notification of its changes
	filter     string // the member of a subscriptions/listen that asks for it
}

var listings = map[string]listing{
	"tools/list":               {"tools", "tools", toolsListChanged, "toolsListChanged"},
	"prompts/list":             {"prompts", "prompts", "notifications/prompts/list_changed", "promptsListChanged"},
	"resources/list":           {"resources", "resources", "notifications/resources/list_changed", "resourcesListChanged"},
	"resources/templates/list": {"resources", "resourceTemplates", "notifications/resources/list_changed", "resourcesListChanged"},
}

const (
	toolsListChanged = "notifications/tools/list_changed"
	resourceUpdated  = "notifications/resources/updated"
	taskChanged      = "notifications/tasks"
	tasksExtension   = "io.modelcontextprotocol/tasks"
)

// A change is something that callers are told of.
type change struct {
	method string
	uri    string // of resourceUpdated; the task id of taskChanged
	params string // members of the params
	end    bool   // subscriptions/listen end
}

// SetTools replaces the tools and tells every caller, in each binding's own way.
func (s *Server) SetTools(tools ...json.RawMessage) { s.set("tools/list", tools) }

// SetPrompts replaces the prompts and tells every caller.
func (s *Server) SetPrompts(prompts ...json.RawMessage) { s.set("prompts/list", prompts) }

// SetResources replaces the resources and tells every caller.
func (s *Server) SetResources(resources ...json.RawMessage) { s.set("resources/list", resources) }

// SetTemplates replaces the resource templates and tells every caller.
func (s *Server) SetTemplates(templates ...json.RawMessage) {
	s.set("resources/templates/list", templates)
}

func (s *Server) set(list string, defs []json.RawMessage) {
	l := listings[list]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		s.now = map[string][]json.RawMessage{}
	}
	s.now[l.member] = slices.Clone(defs)
	if s.declares(l.capability, "listChanged") {
		s.tell(change{method: l.changed})
	}
}

// Updated tells those who subscribed to a resource, or to one above it, that it changed.
func (s *Server) Updated(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell(change{method: resourceUpdated, uri: uri, params: `"uri":` + quote(uri)})
}

// TaskChanged tells those who listen to a task its state, a raw object with its taskId.
func (s *Server) TaskChanged(task string) {
	id, _ := text(field([]byte(task), "taskId"))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell(change{method: taskChanged, uri: id, params: strings.TrimSuffix(strings.TrimPrefix(task, "{"), "}")})
}

// Subscribed is the number of sessions and subscriptions that hold this URI.
func (s *Server) Subscribed(uri string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subs[uri]
}

func (s *Server) subscriber(uri string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subs == nil {
		s.subs = map[string]int{}
	}
	s.subs[uri] += n
}

// covers says whether a subscription to one URI is told of another: the same, or one
// below it (2026-07-28, schema, ResourceUpdatedNotificationParams).
func covers(subscribed, uri string) bool {
	return uri == subscribed || strings.HasPrefix(uri, strings.TrimSuffix(subscribed, "/")+"/")
}

// EndListens ends every subscriptions/listen, as a stateless server that goes down does.
func (s *Server) EndListens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell(change{end: true})
}

// tell calls the watchers; s.mu is held, so that each sees the changes in order.
func (s *Server) tell(what change) {
	for w := range s.watchers {
		(*w)(what)
	}
}

// watch calls first and then has f called for each change from now on, until the function
// it gives is called. Neither may block or use the server.
func (s *Server) watch(first func(), f func(change)) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers == nil {
		s.watchers = map[*func(change)]bool{}
	}
	s.watchers[&f] = true
	first()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, &f)
	}
}

// capabilities is what the server declares.
func (s *Server) capabilities() string {
	if s.Capabilities != "" {
		return s.Capabilities
	}
	var all []string
	others := s.Prompts != nil || s.Resources != nil || s.Templates != nil
	if s.Tools != nil || s.Call != nil || !others {
		all = append(all, `"tools":{"listChanged":true}`)
	}
	if s.Prompts != nil {
		all = append(all, `"prompts":{"listChanged":true}`)
	}
	if s.Resources != nil || s.Templates != nil {
		subscribe := `,"subscribe":true`
		if s.NoSubscribe {
			subscribe = ""
		}
		all = append(all, `"resources":{"listChanged":true`+subscribe+`}`)
	}
	if s.Completions {
		all = append(all, `"completions":{}`)
	}
	if s.Logging {
		all = append(all, `"logging":{}`)
	}
	if s.Extensions != "" {
		all = append(all, `"extensions":`+s.Extensions)
	}
	return "{" + strings.Join(all, ",") + "}"
}

// declares says whether a capability is declared: an object or true at this path.
func (s *Server) declares(path ...string) bool {
	v := field([]byte(s.capabilities()), path...)
	return isObject(v) || string(v) == "true"
}

// have gives the entries of a list.
func (s *Server) have(list string) []json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if defs, set := s.now[listings[list].member]; set {
		return defs
	}
	switch list {
	case "tools/list":
		return s.Tools
	case "prompts/list":
		return s.Prompts
	case "resources/list":
		return s.Resources
	default:
		return s.Templates
	}
}

// entry finds a definition of a list by one of its members.
func (s *Server) entry(list, member, value string) json.RawMessage {
	for _, def := range s.have(list) {
		if v, ok := text(field(def, member)); ok && v == value {
			return def
		}
	}
	return nil
}

// tool finds a definition by its name.
func (s *Server) tool(name string) json.RawMessage { return s.entry("tools/list", "name", name) }

// list gives a result of a list method; false for a cursor it never gave.
func (s *Server) list(list string, cursor json.RawMessage) (string, bool) {
	defs := s.have(list)
	page := 0
	if cursor != nil {
		if page = s.page(cursor, len(defs)); page < 0 {
			return "", false
		}
	}
	size := s.PageSize
	if size == 0 {
		size = len(defs)
	}
	from, to := min(page*size, len(defs)), min((page+1)*size, len(defs))
	var b strings.Builder
	b.WriteString(`{"` + listings[list].member + `":[`)
	for i, def := range defs[from:to] {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(def)
	}
	b.WriteByte(']')
	if next := s.cursor(page, len(defs)); next != nil {
		b.WriteString(`,"nextCursor":` + quote(*next))
	}
	b.WriteByte('}')
	return b.String(), true
}

// cursor is what a page ends with.
func (s *Server) cursor(page, entries int) *string {
	if s.Cursor != nil {
		return s.Cursor(page)
	}
	if s.PageSize == 0 || (page+1)*s.PageSize >= entries {
		return nil
	}
	next := "p" + strconv.Itoa(page+1)
	return &next
}

// page is the page that a cursor leads to, -1 if none does.
func (s *Server) page(cursor json.RawMessage, entries int) int {
	want, ok := text(cursor)
	if !ok {
		return -1
	}
	for p := 0; p < max(entries, 2); p++ {
		next := s.cursor(p, entries)
		if next == nil {
			return -1
		}
		if *next == want {
			return p + 1
		}
	}
	return -1
}
