package route

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"strconv"
)

// A sealer makes texts that only it can read and nobody can forge. Its key lives as long as
// the process.
type sealer struct{ aead cipher.AEAD }

// maxSealed bounds what is looked at.
const maxSealed = 4 << 10

func newSealer() *sealer {
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
	return &sealer{aead}
}

// close seals a text that opens only with the same words.
func (s *sealer) close(text []byte, words ...string) string {
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, text, bound(words)))
}

func (s *sealer) open(sealed string, words ...string) ([]byte, bool) {
	if len(sealed) > maxSealed {
		return nil, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil {
		return nil, false
	}
	text, err := s.aead.Open(nil, nil, raw, bound(words))
	return text, err == nil
}

func bound(words []string) (out []byte) {
	for _, w := range words {
		out = strconv.AppendQuote(out, w)
	}
	return out
}
