package rawjson

// Classes of the byte that a value begins with.
const (
	startNone = iota
	startString
	startNumber
	startOpen
	startLiteral
)

var start = [256]uint8{
	'"': startString,
	'-': startNumber, '0': startNumber, '1': startNumber, '2': startNumber, '3': startNumber,
	'4': startNumber, '5': startNumber, '6': startNumber, '7': startNumber, '8': startNumber, '9': startNumber,
	'{': startOpen, '[': startOpen,
	't': startLiteral, 'f': startLiteral, 'n': startLiteral,
}

// scan reads one value and returns the offset and the kind of the first fault. The
// containers that are open are bits of a stack, an object's is set.
func scan(b []byte, l Limits) (i int, f fault) {
	var first [defaultDepth / 64]uint64
	stack, depth, tokens, object := first[:], 0, l.Tokens, false
	for {
		if object {
			if tokens--; tokens < 0 {
				return i, faultTokens
			}
			if i, f = scanKey(b, i, l.LoneSurrogates); f != fine {
				return i, f
			}
		}
		if i = skipSpace(b, i); i >= len(b) {
			return i, faultEnd
		}
		if tokens--; tokens < 0 {
			return i, faultTokens
		}
		switch start[b[i]] {
		case startString:
			i, f = scanString(b, i+1, l.LoneSurrogates)
		case startNumber:
			i, f = scanNumber(b, i)
		case startLiteral:
			i, f = scanLiteral(b, i)
		case startOpen:
			if depth == l.Depth {
				return i, faultDepth
			}
			object = b[i] == '{'
			stack = push(stack, depth, object)
			depth++
			i = skipSpace(b, i+1)
			if i >= len(b) || b[i] != closing(object) {
				continue
			}
		default:
			return i, faultValue
		}
		if f != fine {
			return i, f
		}
		for { // what may follow a value
			i = skipSpace(b, i)
			if depth == 0 && i >= len(b) {
				return i, fine
			}
			if depth == 0 {
				return i, faultTrailing
			}
			if i >= len(b) {
				return i, faultEnd
			}
			if b[i] == ',' {
				i++
				break
			}
			if b[i] != closing(object) {
				return i, separatorFault(object)
			}
			i++
			depth--
			object = depth > 0 && stack[(depth-1)>>6]>>((depth-1)&63)&1 != 0
		}
	}
}

func push(stack []uint64, depth int, object bool) []uint64 {
	if depth>>6 == len(stack) {
		stack = append(stack, 0)
	}
	bit := uint64(1) << (depth & 63)
	if object {
		stack[depth>>6] |= bit
	} else {
		stack[depth>>6] &^= bit
	}
	return stack
}

func closing(object bool) byte {
	if object {
		return '}'
	}
	return ']'
}

// scanKey reads a key and the colon after it.
func scanKey(b []byte, i int, lone bool) (int, fault) {
	if i = skipSpace(b, i); i >= len(b) {
		return i, faultEnd
	}
	if b[i] != '"' {
		return i, faultKey
	}
	i, f := scanString(b, i+1, lone)
	if f != fine {
		return i, f
	}
	if i = skipSpace(b, i); i >= len(b) {
		return i, faultEnd
	}
	if b[i] != ':' {
		return i, faultColon
	}
	return i + 1, fine
}

// skipSpace is small so that the common case, no space, is inlined.
func skipSpace(b []byte, i int) int {
	if i < len(b) && b[i] <= ' ' {
		return skipSpaces(b, i)
	}
	return i
}

func skipSpaces(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// scanNumber reads a number: an optional minus, an integer without leading zeros, an
// optional fraction, an optional exponent.
func scanNumber(b []byte, i int) (int, fault) {
	if b[i] == '-' {
		i++
	}
	from := i
	if i = digits(b, i); i == from {
		return numberFault(b, i)
	}
	if b[from] == '0' && i > from+1 {
		return from + 1, faultNumber
	}
	if i < len(b) && b[i] == '.' {
		from = i + 1
		if i = digits(b, from); i == from {
			return numberFault(b, i)
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		from = i
		if i = digits(b, i); i == from {
			return numberFault(b, i)
		}
	}
	return i, fine
}

func numberFault(b []byte, i int) (int, fault) {
	if i >= len(b) {
		return i, faultEnd
	}
	return i, faultNumber
}

func scanLiteral(b []byte, i int) (int, fault) {
	word := "null"
	switch b[i] {
	case 't':
		word = "true"
	case 'f':
		word = "false"
	}
	found := b[i:min(i+len(word), len(b))]
	if string(found) == word {
		return i + len(word), fine
	}
	for j, c := range found {
		if c != word[j] {
			return i + j, faultLiteral
		}
	}
	return len(b), faultEnd
}
