// Package admin is the operators' API: /health, /ready, /servers and /tools. It shows no
// secret, and changes something only for who bears the management token. It speaks no MCP.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"mcpgateway/internal/config"
)

// A Server is one server as operators see it.
type Server struct {
	Name       string          `json:"name"`
	Transport  string          `json:"transport"`
	State      string          `json:"state"`
	Reason     string          `json:"reason"`
	Protocol   string          `json:"protocol"` // the revision spoken; empty before the first connection
	ServerInfo json.RawMessage `json:"serverInfo,omitempty"`
	Tools      int             `json:"tools"`
	Prompts    int             `json:"prompts"`
	Resources  int             `json:"resources"` // and templates of them
	Since      time.Time       `json:"since"`
	Restarts   int             `json:"restarts"`
	Source     string          `json:"source"` // "config" or "api"
	Partial    string          `json:"partial,omitempty"`
	LeftOut    []string        `json:"leftOut,omitempty"`
	Advice     string          `json:"advice,omitempty"`  // what its config should say
	Clients    *int            `json:"clients,omitempty"` // that have a connection of their own; nil where all share one
	Stderr     []string        `json:"stderr,omitempty"`
}

// A Tool is one entry of GET /tools. Definition is the raw definition under its canonical
// name.
type Tool struct {
	Server, OriginName string
	Dotted, Safe       string // the names that clients see
	Definition         []byte
}

// Gateway is what the API works on. It is called from many goroutines.
type Gateway interface {
	Servers() []Server
	Tools() []Tool
	// Parse reads the body of a POST.
	Parse(body []byte) ([]config.Server, []config.Problem)
	// Add adds all or none. A *Conflict names those that exist.
	Add(defs []config.Server) error
	// WaitTried waits until the named servers were tried once.
	WaitTried(ctx context.Context, names ...string)
	// Remove returns ErrUnknown for a name that nothing has.
	Remove(ctx context.Context, name string) error
	Ready() bool
	// Waiting names the servers that were not tried yet.
	Waiting() []string
}

// ErrUnknown is what Gateway.Remove returns for a name that no server has.
var ErrUnknown = errors.New("no such server")

// ErrFull is wrapped by what Gateway.Add returns when there may be no more servers.
var ErrFull = errors.New("too many servers")

// A Conflict is what Gateway.Add returns for servers whose name or prefix another has.
type Conflict struct{ Names []string }

func (c *Conflict) Error() string {
	return "a server of this name or prefix exists already: " + strings.Join(c.Names, ", ")
}

// Params are what the API is made of.
type Params struct {
	Gateway  Gateway
	Token    string // lets operators in; empty: no token is asked for
	Reads    bool   // reading needs the token as well
	MaxBody  int
	IsBearer func(r *http.Request, token string) bool
	IsJSON   func(r *http.Request) bool
	Log      *slog.Logger
}

// settleTime lets a start that fails just at its time be told as a failure.
const settleTime = time.Second

// API serves the operators' routes.
type API struct{ p Params }

// New makes the API.
func New(p Params) *API { return &API{p: p} }

// Routes adds the routes to a mux.
func (a *API) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /health", a.health)
	mux.HandleFunc("GET /ready", a.ready)
	mux.HandleFunc("GET /servers", a.read(a.listServers))
	mux.HandleFunc("GET /tools", a.read(a.listTools))
	mux.HandleFunc("POST /servers", a.write(a.addServers))
	mux.HandleFunc("DELETE /servers/{name}", a.write(a.removeServer))
	for path, allow := range map[string]string{"/health": "GET, HEAD", "/ready": "GET, HEAD", "/servers": "GET, HEAD, POST", "/tools": "GET, HEAD", "/servers/{name}": "DELETE"} {
		mux.HandleFunc(path, otherMethod(allow))
	}
	mux.HandleFunc("/", nothingHere)
}

// otherMethod answers what a route does not take.
func otherMethod(allow string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", allow)
		fail(w, http.StatusMethodNotAllowed, "this route takes "+allow+" only")
	}
}

// nothingHere tells who is lost where everything is.
func nothingHere(w http.ResponseWriter, _ *http.Request) {
	fail(w, http.StatusNotFound, "nothing is served at this path. MCP clients connect to /mcp (Streamable HTTP) or /sse (HTTP+SSE); "+
		"management is at /servers, /tools, /health and /ready. docs/first-steps.md of MCP Gateway shows each with curl")
}

func (a *API) health(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (a *API) ready(w http.ResponseWriter, _ *http.Request) {
	if a.p.Gateway.Ready() {
		reply(w, http.StatusOK, map[string]string{"status": "ready"})
		return
	}
	out := map[string]any{"status": "starting"}
	if !a.p.Reads {
		out["waiting"] = a.p.Gateway.Waiting()
	}
	reply(w, http.StatusServiceUnavailable, out)
}

func (a *API) read(next http.HandlerFunc) http.HandlerFunc {
	if !a.p.Reads {
		return next
	}
	return a.write(next)
}

// write lets operators only in.
func (a *API) write(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if a.p.Token != "" && !a.p.IsBearer(r, a.p.Token) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="mcp-gateway management"`)
			fail(w, http.StatusUnauthorized, "the management token is needed: send \"Authorization: Bearer TOKEN\"; `mcp-gateway token` prints it")
			return
		}
		next(w, r)
	}
}

func (a *API) listServers(w http.ResponseWriter, _ *http.Request) {
	servers := a.p.Gateway.Servers()
	if servers == nil {
		servers = []Server{}
	}
	reply(w, http.StatusOK, map[string]any{"servers": servers})
}

// addServers registers what a config file could hold. All are checked, then all are added.
func (a *API) addServers(w http.ResponseWriter, r *http.Request) {
	if !a.p.IsJSON(r) {
		fail(w, http.StatusUnsupportedMediaType, "the body must be Content-Type: application/json")
		return
	}
	tooLarge := fmt.Sprintf("the body is larger than gateway.limits.requestBody, which is %d bytes", a.p.MaxBody)
	if r.ContentLength > int64(a.p.MaxBody) { // nothing of it is read
		w.Header().Set("Connection", "close")
		fail(w, http.StatusRequestEntityTooLarge, tooLarge)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(a.p.MaxBody)))
	if err != nil {
		var long *http.MaxBytesError
		if errors.As(err, &long) {
			fail(w, http.StatusRequestEntityTooLarge, tooLarge)
			return
		}
		fail(w, http.StatusBadRequest, "the body did not arrive whole")
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // else waiting for a server would end with it
	defs, problems := a.p.Gateway.Parse(body)
	if len(problems) > 0 {
		replyProblems(w, problems)
		return
	}
	if err := a.p.Gateway.Add(defs); err != nil {
		a.refuseAdd(w, err)
		return
	}
	names := make([]string, len(defs))
	began := time.Now()
	for i, d := range defs {
		names[i] = d.Name
	}
	if r.URL.Query().Get("wait") != "0" {
		for _, d := range defs { // each has its own start time, from the same moment
			ctx, stop := context.WithDeadline(r.Context(), began.Add(d.StartTimeout+settleTime))
			a.p.Gateway.WaitTried(ctx, d.Name)
			stop()
		}
	}
	a.p.Log.Info("servers added", "names", names)
	reply(w, http.StatusCreated, map[string]any{"servers": a.pick(names)})
}

// pick gives the named servers as they are now.
func (a *API) pick(names []string) []Server {
	out := []Server{}
	for _, s := range a.p.Gateway.Servers() {
		for _, n := range names {
			if s.Name == n {
				out = append(out, s)
			}
		}
	}
	return out
}

func (a *API) refuseAdd(w http.ResponseWriter, err error) {
	var conflict *Conflict
	switch {
	case errors.As(err, &conflict):
		reply(w, http.StatusConflict, map[string]any{"error": err.Error() + "; nothing was added", "names": conflict.Names})
	case errors.Is(err, ErrFull):
		fail(w, http.StatusConflict, err.Error()+"; nothing was added")
	default:
		fail(w, http.StatusServiceUnavailable, err.Error())
	}
}

func replyProblems(w http.ResponseWriter, problems []config.Problem) {
	type problem struct {
		Line    int    `json:"line"`
		Column  int    `json:"column"`
		Path    string `json:"path"`
		Message string `json:"message"`
	}
	out := make([]problem, len(problems))
	for i, p := range problems {
		out[i] = problem{p.Line, p.Column, p.Path, p.Message}
	}
	reply(w, http.StatusBadRequest, map[string]any{"error": "the body has problems; nothing was added", "problems": out})
}

func (a *API) removeServer(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	err := a.p.Gateway.Remove(context.WithoutCancel(r.Context()), name)
	if err != nil {
		fail(w, http.StatusNotFound, "no server has this name; GET /servers lists them")
		return
	}
	a.p.Log.Info("server removed", "name", name)
	w.WriteHeader(http.StatusNoContent)
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
}

func fail(w http.ResponseWriter, status int, message string) {
	reply(w, status, map[string]string{"error": message})
}
