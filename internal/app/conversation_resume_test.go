package app_test

import (
	"bufio"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"mcpgateway/internal/gatetest"
)

// resume calls a tool that tells its progress, breaks the stream after the first event that
// has an id, and goes on reading where it broke off, with GET and Last-Event-ID (2025-11-25,
// transports, Resumability and Redelivery). Each progress comes once and in order, from 1 to
// arguments.count, and then the result.
func (k *talker) resume(params string) {
	open := func(method, body string, headers map[string]string) *http.Response {
		r, err := http.NewRequestWithContext(k.t.Context(), method, k.at+"/mcp", strings.NewReader(body))
		if err != nil {
			k.fail("%v", err)
		}
		r.Header.Set("Accept", "application/json, text/event-stream")
		if method == "POST" {
			r.Header.Set("Content-Type", "application/json")
		}
		for name, value := range headers {
			r.Header.Set(name, value)
		}
		res, err := k.fleet.http.Do(r)
		if err != nil {
			k.fail("%v", err)
		}
		return res
	}
	hello := open("POST", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"resumer","version":"1"}}}`, nil)
	io.Copy(io.Discard, hello.Body)
	hello.Body.Close()
	headers := map[string]string{"Mcp-Session-Id": hello.Header.Get("Mcp-Session-Id"), "MCP-Protocol-Version": "2025-11-25"}
	ready := open("POST", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, headers)
	ready.Body.Close()

	res := open("POST", `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":`+params+`}`, headers)
	id, said := readUntil(res.Body, func(id, data string) bool { return id != "" && data != "" })
	res.Body.Close()
	if id == "" {
		k.fail("no event has an id: %q", said)
	}
	headers["Last-Event-ID"] = id
	again := open("GET", "", headers)
	_, rest := readUntil(again.Body, func(_, data string) bool { return strings.Contains(data, `"id":2`) })
	again.Body.Close()
	delete(headers, "Last-Event-ID")
	open("DELETE", "", headers).Body.Close()
	var want []string
	count, _ := strconv.Atoi(string(gatetest.Member([]byte(params), "arguments", "count")))
	for n := range count {
		want = append(want, strconv.Itoa(n+1))
	}
	var told []string
	for _, data := range append(said, rest...) {
		if n := gatetest.Member([]byte(data), "params", "progress"); n != nil {
			told = append(told, string(n))
		}
		k.answer = gatetest.Member([]byte(data), "result")
	}
	if k.answer == nil || !slices.Equal(told, want) {
		k.fail("there came %q and then %q", said, rest)
	}
}

// readUntil reads a stream until an event is the last one wanted. It gives that event's id and
// the data of all.
func readUntil(r io.Reader, last func(id, data string) bool) (id string, all []string) {
	lines := bufio.NewScanner(r)
	data := ""
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if data != "" {
				all = append(all, data)
			}
			if last(id, data) {
				return id, all
			}
			data = ""
		case name == "id":
			id = value
		case name == "data":
			data += value
		}
	}
	return "", all
}
