package config

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Transports of a server.
const (
	Stdio          = "stdio"
	SSE            = "sse"
	StreamableHTTP = "streamable-http"
)

// Values of Server.Protocol.
const (
	Auto      = "auto"      // ask the server which era it speaks
	Stateful  = "stateful"  // it speaks 2024-11-05 … 2025-11-25
	Stateless = "stateless" // it speaks 2026-07-28 or later
)

// A Server is one server of the file, with its variables put in. Printing it shows
// its name and transport only: any other field may hold what came from a variable.
type Server struct {
	// Name is the entry's key; letters, digits, _ and -, at most 64.
	Name string
	// Prefix stands before the names of its tools in place of Name: another name of
	// that form, or "" for bare names. Nil: Name.
	Prefix *string
	// Transport is "stdio", "sse" or "streamable-http". Left out it follows from
	// command (stdio) or url (streamable-http).
	Transport string
	// TransportNamed: the file names the transport. Where it does not, a url may as
	// well be one of the 2024-11-05 HTTP+SSE transport. "type": "http" among VS Code's
	// servers leaves that open too, since it does so there.
	TransportNamed bool
	// TransportWord is what the file has for a transport that only other programs have; such
	// a server has a Problem. Else it is empty.
	TransportWord string

	// Command is the program to start; no shell reads it. A relative path with a
	// separator begins at the config file's folder; a bare name is looked for in PATH.
	Command string
	// Args are its arguments, each as it is.
	Args []string
	// Env are variables for the child, each once: those of its envFile, then those of
	// env, in the order of the files.
	Env []Var
	// InheritEnv names variables of our own that the child gets as well as Inherited.
	InheritEnv []string
	// Cwd is the child's working folder, relative to the config file's; ours if empty.
	Cwd string

	// URL is the server's endpoint, http or https.
	URL string
	// Headers go with every request to it, in the file's order.
	Headers []Var

	// Enabled: it is started. Default true.
	Enabled bool
	// StartTimeout bounds its start, from the first byte to the answered handshake.
	// Default 120 s for stdio (a cold package runner takes 45 s and more), 30 s for HTTP.
	StartTimeout time.Duration
	// CallTimeout bounds the silence within a call; progress begins it anew. Default 10 min.
	CallTimeout time.Duration
	// Protocol is "auto" (default), "stateful" or "stateless".
	Protocol string

	// Sessions is "shared" (default): one connection or process for all clients, or
	// "per-client": one for each, so that the server can ask its client for roots, and for
	// anything else while several calls run. Servers of the stateless era need none.
	Sessions string
	// Roots are the folders and other places that a shared server is told to work in. Nil:
	// none are declared.
	Roots []Root
	// Instructions: what the server says of itself stands in the gateway's instructions.
	// Default true.
	Instructions bool

	// Problem, if not empty, says why this server alone cannot start, in a person's
	// words: a variable is not set, or its value makes no sense there. It names
	// variables, never their values.
	Problem string
}

// Values of Server.Sessions.
const (
	SessionsShared    = "shared"
	SessionsPerClient = "per-client"
)

// A Root is a place that a server may work in; Name, which may be empty, is for people.
type Root struct{ URI, Name string }

// A Var is a name and its value: an environment variable or a header.
type Var struct {
	Name  string
	Value Secret
}

// Shown is the transport as people are told it: as the file has it where it is none of ours.
func (s Server) Shown() string {
	if s.TransportWord != "" {
		return s.TransportWord
	}
	return s.Transport
}

func (s Server) String() string { return fmt.Sprintf("%s (%s)", s.Name, s.Shown()) }

func (s Server) GoString() string { return fmt.Sprintf("config.Server(%q)", s.String()) }

// Format covers every verb, so that no field is printed by way of one.
func (s Server) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		io.WriteString(f, s.GoString())
		return
	}
	io.WriteString(f, s.String())
}

func (s Server) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON gives name and transport, for the same reason as Format.
func (s Server) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"name": s.Name, "transport": s.Shown()})
}

// Fingerprint is the SHA-256, in hex, of the whole definition with the secrets'
// values: two servers with equal fingerprints are started in the same way. The order
// of env, headers and inheritEnv does not count. It is for comparing, not for
// showing: whoever sees it can try guesses of a short secret.
func (s Server) Fingerprint() string {
	f := digest{sha256.New()}
	prefix := "-" // no valid one
	if s.Prefix != nil {
		prefix = *s.Prefix
	}
	f.texts(s.Name, prefix, s.Transport, fmt.Sprint(s.TransportNamed), s.Command, s.Cwd, s.URL, s.Protocol, s.Problem,
		fmt.Sprint(s.Enabled), s.StartTimeout.String(), s.CallTimeout.String(), s.Sessions, fmt.Sprint(s.Instructions))
	for _, root := range s.Roots {
		f.texts("root", root.URI, root.Name)
	}
	f.list(s.Args)
	f.list(slices.Sorted(slices.Values(s.InheritEnv)))
	f.vars(s.Env)
	f.vars(s.Headers)
	return hex.EncodeToString(f.Sum(nil))
}

// digest writes texts with their lengths, so that no two definitions run together.
type digest struct{ hash.Hash }

func (d digest) texts(list ...string) {
	for _, s := range list {
		d.Write(binary.AppendUvarint(nil, uint64(len(s))))
		io.WriteString(d, s)
	}
}

func (d digest) list(list []string) {
	d.Write(binary.AppendUvarint(nil, uint64(len(list))))
	d.texts(list...)
}

func (d digest) vars(vars []Var) {
	sorted := slices.SortedStableFunc(slices.Values(vars), func(a, b Var) int { return strings.Compare(a.Name, b.Name) })
	d.Write(binary.AppendUvarint(nil, uint64(len(sorted))))
	for _, v := range sorted {
		d.texts(v.Name, v.Value.Reveal())
	}
}
