package app_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"mcpgateway/internal/app"
	"mcpgateway/internal/gatetest"
)

var registerCases = []hostileCase{
	{"E16", func(h *hostile) {
		sameNames(h)
		removed(h)
		tooMany(h)
	}},
	{"E17", killed},
}

// sameNames: one wins.
func sameNames(h *hostile) {
	g := visit(h.T, newHouse(h.T))
	definition := remote("http", gatetest.StartStateless(h, gatetest.New("echo")))
	g.must(201, "POST", "/servers", servers("twice", definition))
	g.must(409, "POST", "/servers", servers("twice", definition))
	g.must(409, "POST", "/servers", servers("TWICE", definition))
	g.must(409, "POST", "/servers", servers("stateful", definition))
	var all sync.WaitGroup
	var created, conflict atomic.Int64
	for range 100 {
		all.Go(func() {
			got, err := g.try(h.Context(), "POST", "/servers", servers("race", definition), "Authorization", "Bearer "+g.token)
			switch {
			case err == nil && got.status == 201:
				created.Add(1)
			case err == nil && got.status == 409:
				conflict.Add(1)
			default:
				h.Errorf("%s %v", got, err)
			}
		})
	}
	all.Wait()
	if created.Load() != 1 || conflict.Load() != 99 {
		h.Errorf("%d were added, %d refused", created.Load(), conflict.Load())
	}
	if got := g.call("race.raw", `{"x":1}`).text(h); got != `{"x":1}` {
		h.Errorf("it says %s", got)
	}
}

// removed with calls in flight: each has one answer.
func removed(h *hostile) {
	const calls = 100
	s := newFake()
	g := h.besides("going", remote("http", gatetest.StartStateless(h, s.Server)))
	release := s.hold()
	h.Cleanup(release)
	var open sync.WaitGroup
	for range calls {
		open.Go(func() {
			got, err := g.try(h.Context(), "POST", "/mcp", stateless("1", "tools/call", tool("going.hold", "{}")), mirror("tools/call", "going.hold")...)
			if err != nil || !strings.Contains(got.body, "released") {
				h.Errorf("a call in flight: %s %v", got, err)
			}
		})
	}
	gatetest.WaitFor(h, "the calls", func() bool { return s.open.Load() == calls })
	done := make(chan got, 1)
	go func() {
		got, err := g.try(h.Context(), "DELETE", "/servers/going", "", "Authorization", "Bearer "+g.token)
		if err != nil {
			h.Error(err)
		}
		done <- got
	}()
	gatetest.WaitFor(h, "the server to go", func() bool { _, there := g.states()["going"]; return !there })
	h.wantError("a call too late", g.call("going.raw", "{}"), 200, invalidParams, "1")
	g.must(404, "DELETE", "/servers/going", "")
	release()
	open.Wait()
	if got := soon(h, "the end of DELETE", done); got.status != 204 {
		h.Errorf("DELETE: %s", got)
	}
	g.must(404, "DELETE", "/servers/going", "")
	if n := s.hits(); n != calls {
		h.Errorf("%d calls arrived", n)
	}
}

// tooMany are refused at the bound, which is lower here than 500.
func tooMany(h *hostile) {
	const most = 10
	g := visit(h.T, newHouse(h.T, fmt.Sprintf(`"gateway":{"limits":{"servers":%d}}`, most)))
	var all sync.WaitGroup
	var created, full atomic.Int64
	next := make(chan int)
	for range 8 {
		all.Go(func() {
			for i := range next {
				got, err := g.try(h.Context(), "POST", "/servers?wait=0", servers(fmt.Sprint("s", i), `{"command":"x","enabled":false}`), "Authorization", "Bearer "+g.token)
				switch {
				case err == nil && got.status == 201:
					created.Add(1)
				case err == nil && (got.status == 409 || got.status == 429):
					full.Add(1)
				default:
					h.Errorf("%s %v", got, err)
				}
			}
		})
	}
	for i := range 500 {
		next <- i
	}
	close(next)
	all.Wait()
	if n := len(g.states()); n != most || created.Load() != most-2 {
		h.Errorf("%d servers; %d were added, %d refused", n, created.Load(), full.Load())
	}
	// All or none: two more do not fit where one does.
	for name := range g.states() {
		if strings.HasPrefix(name, "s") && name != "stateful" && name != "stateless" {
			g.must(204, "DELETE", "/servers/"+name, "")
			break
		}
	}
	g.must(409, "POST", "/servers", servers("x", `{"command":"x","enabled":false}`, "y", `{"command":"x","enabled":false}`))
	if n := len(g.states()); n != most-1 {
		h.Errorf("%d servers", n)
	}
}

// envGateway makes the test binary a gateway of its own, with the config file that it names.
const envGateway = "MCPGW_GATEWAY"

// serveGateway is the whole life of such a process. It says where it listens, and is killed.
func serveGateway(file string) {
	o := app.Options{
		Config: file, Transport: app.StreamableHTTP, Host: "127.0.0.1", StateDir: filepath.Dir(file), Version: version,
		Executable: os.Args[0], LookupEnv: os.LookupEnv, Environ: os.Environ,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, LogLevel: slog.LevelInfo,
	}
	a, err := app.New(o)
	if err == nil {
		err = a.Start(context.Background())
	}
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println("http://" + a.Addr())
	<-a.Done()
}

// killed while servers are added: the gateway starts again. What the API added is kept for
// the life of the process only, so that it is wholly absent then.
func killed(h *hostile) {
	file := filepath.Join(h.TempDir(), "servers.json")
	definition := remote("http", gatetest.StartStateless(h, gatetest.New("echo")))
	if err := os.WriteFile(file, []byte(servers("kept", definition)), 0o600); err != nil {
		h.Fatal(err)
	}
	before, token := "", ""
	for range 3 {
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), envGateway+"="+file)
		out, err := command.StdoutPipe()
		if err != nil {
			h.Fatal(err)
		}
		if err := command.Start(); err != nil {
			h.Fatal(err)
		}
		end := sync.OnceFunc(func() {
			_ = command.Process.Kill()
			_ = command.Wait()
		})
		h.Cleanup(end)
		line, _ := bufio.NewReader(out).ReadString('\n')
		url := strings.TrimSpace(line)
		if !strings.HasPrefix(url, "http://") {
			h.Fatalf("the gateway says %q", line)
		}
		secret, err := os.ReadFile(filepath.Join(filepath.Dir(file), "admin-token"))
		if before = token; err != nil || before != "" && before != string(secret) {
			h.Errorf("the management token is another one: %v", err)
		}
		token = string(secret)
		child := &gateway{t: h.T, url: url, token: strings.TrimSpace(token), http: h.http}
		child.ready()
		if all := child.states(); len(all) != 1 || all["kept"].State != "ready" {
			h.Errorf("after a start: %+v", all)
		}
		var adding sync.WaitGroup
		var added atomic.Int64
		for w := range 4 {
			adding.Go(func() {
				for i := 0; ; i++ {
					r, _ := http.NewRequest("POST", url+"/servers?wait=0", strings.NewReader(servers(fmt.Sprintf("s%d-%d", w, i), definition)))
					r.Header.Set("Authorization", "Bearer "+child.token)
					r.Header.Set("Content-Type", "application/json")
					res, err := h.http.Do(r)
					if err != nil {
						return // it was killed
					}
					res.Body.Close()
					if res.StatusCode != 201 {
						h.Errorf("HTTP %d", res.StatusCode)
						return
					}
					added.Add(1)
				}
			})
		}
		within(h, startTime, "some servers", func() bool { return added.Load() > 20 })
		end()
		adding.Wait()
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*"))
	if len(left) != 2 {
		h.Errorf("files are left: %q", left)
	}
}
