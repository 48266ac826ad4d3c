package rawjson

import (
	"fmt"
	"strings"
	"testing"
)

var smallMessage = []byte(`{"jsonrpc":"2.0","id":"c1-4711","method":"tools/call","params":{"name":"calculator.add",` +
	`"arguments":{"a":1.5,"b":-22,"note":"rund 3 €, say \"three\"","tags":["x","y"],"exact":true,"none":null},` +
	`"_meta":{"progressToken":17,"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`)

func listing() []byte {
	var tools []string
	for i := range 100 {
		tools = append(tools, fmt.Sprintf(`{"name":"tool_%d","title":"Tool %d","description":"Does one thing to a file and says what it did. Line one.\nLine two.",`+
			`"inputSchema":{"type":"object","properties":{"path":{"type":"string","description":"The file"},"lines":{"type":"integer","minimum":1}},"required":["path"],"additionalProperties":false}}`, i, i))
	}
	return []byte(`{"jsonrpc":"2.0","id":3,"result":{"tools":[` + strings.Join(tools, ",") + `]}}`)
}

func documents() map[string][]byte {
	const mb = 1 << 20
	message := func(text string) []byte {
		return []byte(`{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"` + text + `"}]}}`)
	}
	return map[string][]byte{
		"message": smallMessage,
		"listing": listing(),
		"string":  message(strings.Repeat("plain text, ", mb/12)),
		"escapes": message(strings.Repeat(`{\"key\": \"value\"},\n`, mb/22)),
		"chinese": message(strings.Repeat("一段中文的文字，", mb/24)),
		"numbers": []byte("[" + strings.Repeat("-1.25,3,1e9,12345678,", mb/21) + "0]"),
	}
}

var documentNames = []string{"message", "listing", "string", "escapes", "chinese", "numbers"}

func bench(b *testing.B, work func(doc []byte)) {
	docs := documents()
	for _, name := range documentNames {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(docs[name])))
			b.ReportAllocs()
			for b.Loop() {
				work(docs[name])
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	bench(b, func(doc []byte) {
		if err := Check(doc, Limits{}); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkMembers(b *testing.B) {
	bench(b, func(doc []byte) {
		for m := range Members(doc) {
			_ = m
		}
		for v := range Elements(doc) {
			_ = v
		}
	})
}

// many is an object of as many members as 16 MiB can have, the worst that CheckMembers meets.
func many() []byte {
	b := []byte{'{'}
	for i := 0; len(b) < 16<<20-20; i++ {
		b = fmt.Appendf(b, `"%x":1,`, i)
	}
	return append(b, `"":1}`...)
}

func BenchmarkCheckMembers(b *testing.B) {
	for name, doc := range map[string][]byte{"message": smallMessage, "many": many()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := CheckMembers(doc, "jsonrpc", "id", "method", "params", "result", "error"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEdited(b *testing.B) {
	id := []byte("123456")
	var buf []byte
	bench(b, func(doc []byte) { buf = AppendEdited(buf[:0], doc, Edit{"id", id}) })
}

func BenchmarkFinder(b *testing.B) {
	bench(b, func(doc []byte) {
		var f Finder
		f.Write([]byte(`{"x":`)) // the id is not at the top, so that it reads to the end
		f.Write(doc)
	})
}

func BenchmarkText(b *testing.B) {
	docs := documents()
	for _, name := range []string{"string", "escapes", "chinese"} {
		content := Get(Get(docs[name], "result"), "content")
		for v := range Elements(content) {
			text := Get(v, "text")
			s, _ := Text(text)
			var buf []byte
			b.Run(name+"/decode", func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					Text(text)
				}
			})
			b.Run(name+"/encode", func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					buf = AppendText(buf[:0], s)
				}
			})
		}
	}
}
