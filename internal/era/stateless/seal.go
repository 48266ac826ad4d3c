package stateless

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
	"mcpgateway/internal/seal"
)

// mark begins the requestState of every gateway of our kind; the id of its key follows.
const mark = "mgw1."

// What a state of ours stands for.
const (
	stateParked  = 1 + iota // a call that waits for its answers
	stateWrapped            // the state of a gateway behind us
	stateFresh              // nothing: the retry is a new call
)

// A state is what a requestState of ours says. It is bound to one request and expires
// (2026-07-28, Multi Round-Trip Requests, Server Requirements, 5).
type state struct {
	kind    byte
	expires time.Time
	request sum
	call    uint64 // of a parked call
	round   uint64 // of that call; each is used once
	inner   string // of a wrapped state
}

// A keeper hides states from clients, and knows its own again. Its key ends with the process,
// as parked calls do.
type keeper struct {
	seal   *seal.Sealer
	prefix string
}

func newKeeper() *keeper { return &keeper{seal: seal.New(), prefix: mark + rand.Text()[:8] + "."} }

// owns tells whether a requestState bears our key's id.
func (k *keeper) owns(text string) bool { return strings.HasPrefix(text, k.prefix) }

func (k *keeper) close(st state) string {
	plain := binary.BigEndian.AppendUint64([]byte{st.kind}, uint64(st.expires.UnixNano()))
	plain = append(plain, st.request[:]...)
	plain = binary.BigEndian.AppendUint64(plain, st.call)
	plain = binary.BigEndian.AppendUint64(plain, st.round)
	plain = append(plain, st.inner...)
	return k.prefix + k.seal.Close(plain, []byte(k.prefix))
}

// open reads a state that owns is true of. It is false for what we did not make, and for
// what has expired.
func (k *keeper) open(text string) (state, bool) {
	plain, ok := k.seal.Open(text[len(k.prefix):], []byte(k.prefix))
	if !ok {
		return state{}, false
	}
	st := state{kind: plain[0], expires: time.Unix(0, int64(binary.BigEndian.Uint64(plain[1:])))}
	plain = plain[9:]
	plain = plain[copy(st.request[:], plain):]
	st.call, st.round = binary.BigEndian.Uint64(plain), binary.BigEndian.Uint64(plain[8:])
	st.inner = string(plain[16:])
	return st, time.Now().Before(st.expires)
}

// binding says which request a state belongs to: whose it is, where it came to, and what it
// asks for. The state of a gateway behind us is bound to arguments by that gateway.
func binding(c *mcp.Call, withArguments bool) sum {
	var b []byte
	scope := "dotted"
	if c.From.Scope.Safe {
		scope = "safe"
	}
	for _, part := range []string{c.From.Principal, c.From.Scope.Server, scope, c.Method, c.Name} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	if !withArguments {
		return sha256.Sum256(b)
	}
	arguments := rawjson.Get(c.Params.Raw, "arguments")
	if arguments == nil {
		arguments = []byte("{}") // which says the same
	}
	s := digest(arguments)
	return sha256.Sum256(append(b, s[:]...))
}
