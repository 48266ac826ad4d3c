package route

import "strconv"

// maxSealed bounds what is looked at.
const maxSealed = 4 << 10

// sealed seals a text that opens only with the same words.
func (r *Router) sealed(text []byte, words ...string) string {
	return r.seal.Close(text, bound(words))
}

func (r *Router) opened(text string, words ...string) ([]byte, bool) {
	if len(text) > maxSealed {
		return nil, false
	}
	return r.seal.Open(text, bound(words))
}

func bound(words []string) (out []byte) {
	for _, w := range words {
		out = strconv.AppendQuote(out, w)
	}
	return out
}
