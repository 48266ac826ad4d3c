package config

import (
	"math"
	"time"
)

// Limits are bounds; each is at least 1 and none can be switched off. Reaching one
// gives a clear error and loses nothing else. Keys are the fields' names in lower
// camel case; times are "30s" or seconds.
type Limits struct {
	// RequestBody is the size of a client's request in bytes. Default 4 MiB.
	RequestBody int
	// Depth is how deep JSON may be nested. Default 256.
	Depth int
	// RequestTokens is the number of JSON tokens in a client's request. Default 200,000.
	RequestTokens int
	// AnswerTokens is the number of JSON tokens in a server's answer. Default 4,000,000.
	AnswerTokens int
	// MessageBytes is the size in bytes of one line on stdio, one event of a stream,
	// one HTTP answer. Default 16 MiB.
	MessageBytes int
	// InFlight bounds the calls that are not answered yet.
	InFlight InFlight
	// ListWait is how long a list waits for servers that are still starting. Default 10 s.
	ListWait time.Duration
	// ListGrace is how long a server that went down keeps its place in lists. Default 5 min.
	ListGrace time.Duration
	// CallMax is the longest a call may take, with progress or without. Default 1 h.
	CallMax time.Duration
	// Sessions bounds what is remembered of stateful clients.
	Sessions Sessions
	// Parked bounds the calls of stateless clients that wait for the answer to a question.
	Parked Parked
	// QuestionTime is how long a server's question to a client may stay open. Default 10 min.
	QuestionTime time.Duration
	// Clients is how many clients have a connection of their own to one server whose
	// "sessions" are "per-client"; as many more may be closing. Default 64.
	Clients int
	// EventBytes bounds the events that are kept for HTTP clients that connect again.
	EventBytes EventBytes
	// ToolsPerServer is how many tools of one server are listed. Default 2,000.
	ToolsPerServer int
	// ToolBytes is the size of one tool's definition in bytes. Default 256 KiB.
	ToolBytes int
	// CatalogBytes is the size of all definitions together in bytes. Default 32 MiB.
	CatalogBytes int
	// Servers is how many servers there may be, from the file and the API. Default 500.
	Servers int
	// ListPages is how many pages of one server's list are followed. Default 100.
	ListPages int
	// ListTime is how long one server's whole list may take. Default 10 s.
	ListTime time.Duration
}

// InFlight counts calls.
type InFlight struct {
	// Principal: of one caller. Default 256.
	Principal int
	// Server: at one server. Default 1,024.
	Server int
	// All: in the whole gateway. Default 8,192.
	All int
}

// Sessions counts sessions of stateful clients.
type Sessions struct {
	// Principal: of one caller. Default 1,000.
	Principal int
	// All: in the whole gateway. Default 20,000.
	All int
	// Idle is when one without a stream or a call ends. Default 30 min.
	Idle time.Duration
}

// Parked counts calls.
type Parked struct {
	// Principal: of one caller. Default 16.
	Principal int
	// All: in the whole gateway. Default 1,024.
	All int
}

// EventBytes counts bytes of events, and 256 more for each.
type EventBytes struct {
	// Session: of one session. Default 1 MiB.
	Session int
	// All: in the whole gateway. Default 64 MiB.
	All int
}

// Defaults are the bounds of a file that sets none.
func Defaults() Limits {
	return Limits{
		RequestBody:    4 << 20,
		Depth:          256,
		RequestTokens:  200_000,
		AnswerTokens:   4_000_000,
		MessageBytes:   16 << 20,
		InFlight:       InFlight{Principal: 256, Server: 1024, All: 8192},
		ListWait:       10 * time.Second,
		ListGrace:      5 * time.Minute,
		CallMax:        time.Hour,
		Sessions:       Sessions{Principal: 1000, All: 20_000, Idle: 30 * time.Minute},
		Parked:         Parked{Principal: 16, All: 1024},
		QuestionTime:   10 * time.Minute,
		Clients:        64,
		EventBytes:     EventBytes{Session: 1 << 20, All: 64 << 20},
		ToolsPerServer: 2000,
		ToolBytes:      256 << 10,
		CatalogBytes:   32 << 20,
		Servers:        500,
		ListPages:      100,
		ListTime:       10 * time.Second,
	}
}

func (l *Limits) read(n node) {
	n.read(
		counted("requestBody", &l.RequestBody),
		// Programs at both ends read JSON by recursion; none reads it deeper than this.
		setting{"depth", func(n node) { n.count(&l.Depth, 10_000, noBound) }},
		counted("requestTokens", &l.RequestTokens),
		counted("answerTokens", &l.AnswerTokens),
		counted("messageBytes", &l.MessageBytes),
		setting{"inFlight", func(n node) {
			n.read(
				counted("principal", &l.InFlight.Principal),
				counted("server", &l.InFlight.Server),
				counted("all", &l.InFlight.All),
			)
		}},
		timed("listWait", &l.ListWait),
		timed("listGrace", &l.ListGrace),
		timed("callMax", &l.CallMax),
		setting{"sessions", func(n node) {
			n.read(
				counted("principal", &l.Sessions.Principal),
				counted("all", &l.Sessions.All),
				timed("idle", &l.Sessions.Idle),
			)
		}},
		setting{"parked", func(n node) {
			n.read(
				counted("principal", &l.Parked.Principal),
				counted("all", &l.Parked.All),
			)
		}},
		timed("questionTime", &l.QuestionTime),
		counted("clients", &l.Clients),
		setting{"eventBytes", func(n node) {
			n.read(
				counted("session", &l.EventBytes.Session),
				counted("all", &l.EventBytes.All),
			)
		}},
		counted("toolsPerServer", &l.ToolsPerServer),
		counted("toolBytes", &l.ToolBytes),
		counted("catalogBytes", &l.CatalogBytes),
		counted("servers", &l.Servers),
		counted("listPages", &l.ListPages),
		timed("listTime", &l.ListTime),
	)
}

func counted(key string, to *int) setting {
	return setting{key, func(n node) { n.count(to, math.MaxInt32, noBound) }}
}

func timed(key string, to *time.Duration) setting {
	return setting{key, func(n node) { n.duration(to) }}
}
