package app_test

import (
	"bufio"
	"context"
	"io"
	"strings"
	"sync"
)

// An events is an open stream of the 2024-11-05 transport.
type events struct {
	h        *hostile
	endpoint string
	data     chan string // of each event that came after the endpoint; closed at the end
	close    func()
}

// events opens one; it is closed with the case.
func (h *hostile) events(header ...string) *events {
	h.Helper()
	ctx, stop := context.WithCancel(h.Context())
	res, err := h.http.Do(h.request(ctx, "GET", "/sse", nil, append(header, "Accept", "text/event-stream")...))
	if err != nil || res.StatusCode != 200 {
		stop()
		h.Fatalf("GET /sse: %v %v", res, err)
	}
	e := &events{h: h, data: make(chan string, 1024)}
	first := make(chan string, 1)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(e.data)
		defer close(first)
		s := bufio.NewScanner(res.Body)
		s.Buffer(nil, 32<<20)
		for s.Scan() {
			data, ok := strings.CutPrefix(s.Text(), "data: ")
			if !ok {
				continue
			}
			if e.endpoint == "" {
				e.endpoint = data
				first <- data
				continue
			}
			e.data <- data
		}
		_, _ = io.Copy(io.Discard, res.Body)
	})
	e.close = sync.OnceFunc(func() {
		stop()
		reader.Wait()
		res.Body.Close()
	})
	h.Cleanup(e.close)
	if <-first == "" {
		h.Fatal("the stream names no endpoint")
	}
	return e
}

// ask posts a message; its answer comes on the stream.
func (e *events) ask(body string, header ...string) string {
	e.h.Helper()
	if g := e.h.send("POST", e.endpoint, body, header...); g.status != 202 {
		e.h.Fatalf("POST %s: %s", e.endpoint, g)
	}
	return e.next()
}

func (e *events) next() string {
	e.h.Helper()
	return soon(e.h, "an event", e.data)
}

// quiet closes the stream; nothing more may have come on it.
func (e *events) quiet() {
	e.h.Helper()
	e.close()
	for data := range e.data {
		e.h.Errorf("the stream says %.300s", data)
	}
}
