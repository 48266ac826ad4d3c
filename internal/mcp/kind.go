package mcp

// A Kind is one of the things that servers list.
type Kind int

const (
	Tools Kind = iota
	Prompts
	Resources
	Templates // of resources
	Kinds     // how many there are
)

var kinds = [Kinds]struct{ list, member, changed string }{
	Tools:     {"tools/list", "tools", "notifications/tools/list_changed"},
	Prompts:   {"prompts/list", "prompts", "notifications/prompts/list_changed"},
	Resources: {"resources/list", "resources", "notifications/resources/list_changed"},
	Templates: {"resources/templates/list", "resourceTemplates", "notifications/resources/list_changed"},
}

// List is the method that lists the kind.
func (k Kind) List() string { return kinds[k].list }

// Member is the member of that method's result which holds the list.
func (k Kind) Member() string { return kinds[k].member }

// Changed is the notification that says when the list changed. Templates share the one of
// resources (2026-07-28, server, Resources, List Changed Notification).
func (k Kind) Changed() string { return kinds[k].changed }

// Listed gives the kind that a method lists; ok is false for any other method.
func Listed(method string) (k Kind, ok bool) {
	for k := range Kinds {
		if kinds[k].list == method {
			return k, true
		}
	}
	return 0, false
}

// MaxWatched bounds a URI or id that is kept while a client hears of it, in bytes.
const MaxWatched = 32 << 10

// Seen are the fingerprints of what a caller sees of each kind.
type Seen [Kinds]string
