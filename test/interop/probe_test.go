package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// discoverRequest is what a client that speaks 2026-07-28 asks before anything else.
const discoverRequest = `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{` +
	`"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
	`"io.modelcontextprotocol/clientInfo":{"name":"probe","version":"1.0.0"},` +
	`"io.modelcontextprotocol/clientCapabilities":{}}}}`

// TestPeersAnswerDiscover asks every server server/discover before initialize, and logs its answer.
// Only a server that is said to be stateless may answer as one: this is what a client tells the era by.
func TestPeersAnswerDiscover(t *testing.T) {
	mark := fmt.Sprintf("probe-%d", time.Now().UnixNano())
	for _, g := range []group{wide, slow} {
		servers, err := g.servers(theFleet, t.TempDir(), mark)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range servers {
			t.Run(s.name, func(t *testing.T) { checkProbe(t, s) })
		}
	}
	checkNoneLeft(t, mark)
}

func checkProbe(t *testing.T, s server) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	probe := map[string]func(context.Context, link) (string, []byte, error){
		"stdio": probeStdio, "sse": probeSSE, "http": probeHTTP,
	}[s.link.Transport]
	how, answer, err := probe(ctx, s.link)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %s", how, answer)
	if got := offersStateless(answer); got != s.stateless && !s.plainOnly {
		t.Errorf("the answer offers a stateless revision: %v, want %v", got, s.stateless)
	}
}

func offersStateless(answer []byte) bool {
	var m struct {
		Result struct{ SupportedVersions []string }
		Error  struct {
			Code int
			Data struct{ Supported []string }
		}
	}
	if json.Unmarshal(answer, &m) != nil {
		return false
	}
	return slices.Contains(m.Result.SupportedVersions, firstStateless) ||
		m.Error.Code == -32022 && slices.Contains(m.Error.Data.Supported, firstStateless)
}

func probeStdio(ctx context.Context, l link) (how string, answer []byte, err error) {
	cmd := exec.CommandContext(ctx, l.Command, l.Args...)
	inOwnGroup(cmd)
	cmd.Env, cmd.Dir = append(os.Environ(), l.environ()...), l.Cwd
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	if _, err := io.WriteString(stdin, discoverRequest+"\n"); err != nil {
		return "", nil, err
	}
	answer, readErr := bufio.NewReader(stdout).ReadBytes('\n')
	// End of input is a server's sign to go (2025-11-25, basic/lifecycle, Shutdown).
	stdin.Close()
	if err := cmd.Wait(); err != nil && readErr == nil {
		return "", nil, fmt.Errorf("after its input ended: %w", err)
	}
	return "line", bytes.TrimSpace(answer), readErr
}

func probeHTTP(ctx context.Context, l link) (how string, answer []byte, err error) {
	resp, err := post(ctx, l.URL)
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", nil, err
	}
	how = resp.Status + ", " + resp.Header.Get("Content-Type")
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		_, body, err = nextEvent(bufio.NewReader(bytes.NewReader(body)))
	}
	return how, bytes.TrimSpace(body), err
}

func probeSSE(ctx context.Context, l link) (how string, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL, nil)
	if err != nil {
		return "", nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	stream, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", nil, err
	}
	defer stream.Body.Close()
	events := bufio.NewReader(stream.Body)
	_, endpoint, err := nextEvent(events)
	if err != nil {
		return "", nil, err
	}
	base, err := url.Parse(l.URL)
	if err != nil {
		return "", nil, err
	}
	target, err := base.Parse(string(endpoint))
	if err != nil {
		return "", nil, err
	}
	resp, err := post(ctx, target.String())
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		answer, err = io.ReadAll(resp.Body)
		return "POST " + resp.Status, bytes.TrimSpace(answer), err
	}
	_, answer, err = nextEvent(events)
	return "POST " + resp.Status + ", then on the stream", answer, err
}

func post(ctx context.Context, target string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(discoverRequest))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("MCP-Protocol-Version", firstStateless)
	req.Header.Set("Mcp-Method", "server/discover")
	return http.DefaultClient.Do(req)
}

// nextEvent reads the next event with data; enough for servers that end lines with LF or CRLF.
func nextEvent(r *bufio.Reader) (name string, data []byte, err error) {
	var lines []string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", nil, fmt.Errorf("event stream: %w", err)
		}
		line = strings.TrimRight(line, "\r\n")
		if after, ok := strings.CutPrefix(line, "event:"); ok {
			name = strings.TrimSpace(after)
		}
		if after, ok := strings.CutPrefix(line, "data:"); ok {
			lines = append(lines, after)
		}
		if line != "" {
			continue
		}
		if data = []byte(strings.TrimSpace(strings.Join(lines, "\n"))); len(data) > 0 {
			return name, data, nil
		}
		name, lines = "", nil
	}
}
