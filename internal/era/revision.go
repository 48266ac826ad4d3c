// Package era holds what the two protocol eras share: the table of revisions, the
// numbers and statuses of errors, and the contracts of the two edges. Inbound faces
// clients, Outbound faces servers. Its subfolders stateful and stateless do not know each
// other; nothing outside this tree knows that eras exist.
package era

import (
	"slices"

	"mcpgateway/internal/rawjson"
)

// A Revision is one dated version of the protocol and what sets it apart.
type Revision struct {
	Date      string
	Stateless bool
	Batches   bool // clients and servers may send JSON-RPC batches
	Header    bool // MCP-Protocol-Version goes along on HTTP
	Titles    bool // an Implementation may bear a title
	Resumes   bool // events of an HTTP stream bear ids, by which a client resumes it
	Primes    bool // such a stream begins with an event of no data, which bears the first id
	URLs      bool // an elicitation of a URL bears an id, by which its end is told
	Sounds    bool // content may be audio
	Links     bool // content may be a link to a resource
	Blocks    bool // a message of a sampling may have several blocks of content
	Uses      bool // a block of such a message may be the use of a tool, or what that gave
}

// Revisions is the one table of revisions, newest first.
var Revisions = [...]Revision{
	{Date: "2026-07-28", Stateless: true, Header: true, Titles: true, Sounds: true, Links: true, Blocks: true, Uses: true},
	{Date: "2025-11-25", Header: true, Titles: true, Resumes: true, Primes: true, URLs: true, Sounds: true, Links: true, Blocks: true, Uses: true},
	{Date: "2025-06-18", Header: true, Titles: true, Resumes: true, Sounds: true, Links: true},
	{Date: "2025-03-26", Batches: true, Resumes: true, Sounds: true},
	{Date: "2024-11-05"},
}

// Find looks a date up.
func Find(date string) (Revision, bool) {
	i := slices.IndexFunc(Revisions[:], func(r Revision) bool { return r.Date == date })
	if i < 0 {
		return Revision{}, false
	}
	return Revisions[i], true
}

// Newest is the newest revision of one era.
func Newest(stateless bool) Revision {
	i := slices.IndexFunc(Revisions[:], func(r Revision) bool { return r.Stateless == stateless })
	return Revisions[i]
}

// IsStateful tells whether date is a stateful revision that we speak.
func IsStateful(date string) bool {
	r, ok := Find(date)
	return ok && !r.Stateless
}

// IsStateless tells whether date is a stateless revision that we speak.
func IsStateless(date string) bool {
	r, ok := Find(date)
	return ok && r.Stateless
}

// Dates is the JSON array of every revision that we speak, newest first. A discovery and a
// refused version both name it (see docs/adr/0001-one-list-of-revisions.md).
func Dates() []byte {
	out := []byte{'['}
	for i, r := range Revisions {
		if i > 0 {
			out = append(out, ',')
		}
		out = rawjson.AppendText(out, r.Date)
	}
	return append(out, ']')
}
