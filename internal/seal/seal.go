// Package seal makes texts that only the process which made them can read, and nobody can
// forge: what we give to clients to bring back. It knows nothing of what it seals.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"strings"
)

// A Sealer has a key that lives as long as the process.
type Sealer struct{ aead cipher.AEAD }

// New makes a Sealer with a key of its own.
func New() *Sealer {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for keys of another length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for ciphers of another block size
	}
	return &Sealer{aead}
}

// Close seals plain, so that it opens only where it is bound to the same.
func (s *Sealer) Close(plain, bound []byte) string {
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, bound))
}

// Open undoes Close. It is false for what this Sealer did not make, or bound to something else.
func (s *Sealer) Open(text string, bound []byte) (plain []byte, ok bool) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // which the decoder skips
		return nil, false
	}
	plain, err = s.aead.Open(nil, nil, sealed, bound)
	return plain, err == nil
}
