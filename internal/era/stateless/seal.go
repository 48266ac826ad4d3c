package stateless

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
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

// A seal hides states from clients, and knows its own again.
type seal struct {
	aead   cipher.AEAD
	prefix string
}

// newSeal makes a seal. Without a key of 32 bytes it makes one of its own, which ends with
// the process, as parked calls do.
func newSeal(key []byte) *seal {
	if key == nil {
		key = make([]byte, 32)
		_, _ = rand.Read(key) // never fails
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key's length is ours to choose
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	id := sha256.Sum256(append([]byte("key id of "), key...))
	return &seal{aead: aead, prefix: mark + base64.RawURLEncoding.EncodeToString(id[:6]) + "."}
}

// owns tells whether a requestState bears our key's id.
func (s *seal) owns(text string) bool { return strings.HasPrefix(text, s.prefix) }

func (s *seal) close(st state) string {
	plain := binary.BigEndian.AppendUint64([]byte{st.kind}, uint64(st.expires.UnixNano()))
	plain = append(plain, st.request[:]...)
	plain = binary.BigEndian.AppendUint64(plain, st.call)
	plain = binary.BigEndian.AppendUint64(plain, st.round)
	plain = append(plain, st.inner...)
	return s.prefix + base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, []byte(s.prefix)))
}

// open reads a state that owns is true of. It is false for what we did not make, and for
// what has expired.
func (s *seal) open(text string) (state, bool) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text[len(s.prefix):])
	if err != nil || strings.ContainsAny(text, "\r\n") { // which the decoder skips
		return state{}, false
	}
	plain, err := s.aead.Open(nil, nil, sealed, []byte(s.prefix))
	if err != nil {
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
