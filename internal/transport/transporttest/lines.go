package transporttest

import (
	"fmt"
	"io"
	"sync"

	"mcpgateway/internal/jsonrpc"
)

// ServeLines plays a script over lines until r ends, for a process that plays a server.
func ServeLines(name string, r io.Reader, w io.Writer) error {
	server, ok := Scripts[name]
	if !ok {
		return fmt.Errorf("no script %q", name)
	}
	p := &linePeer{w: w, gone: make(chan struct{})}
	script := server.New()
	var running sync.WaitGroup
	defer running.Wait()
	defer close(p.gone)
	lines := jsonrpc.NewLineReader(r, 2*MaxAnswer)
	for {
		line, err := lines.Next()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		m, err := jsonrpc.Parse(line, jsonrpc.ServerLimits)
		if err != nil {
			return err
		}
		running.Go(func() { script(m, p) })
	}
}

// linePeer is the one peer that there is on lines.
type linePeer struct {
	mu   sync.Mutex
	w    io.Writer // guarded by mu
	gone chan struct{}
}

func (p *linePeer) Reply(raw string) { p.Tell(raw) }

func (p *linePeer) Tell(raw string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = io.WriteString(p.w, raw+"\n")
}

func (p *linePeer) Gone() <-chan struct{} { return p.gone }
