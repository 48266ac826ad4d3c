package admin

import (
	"net/http"

	"mcpgateway/internal/rawjson"
)

// listTools writes every definition as its server gave it, with these members set: the
// canonical name, the server, the name that the server knows it by, and those that clients
// see.
func (a *API) listTools(w http.ResponseWriter, _ *http.Request) {
	out := []byte(`{"tools":[`)
	for i, t := range a.p.Gateway.Tools() {
		if i > 0 {
			out = append(out, ',')
		}
		out = rawjson.AppendEdited(out, t.Definition,
			rawjson.Edit{Key: "server", Value: rawjson.AppendText(nil, t.Server)},
			rawjson.Edit{Key: "originName", Value: rawjson.AppendText(nil, t.OriginName)},
			rawjson.Edit{Key: "exposed", Value: exposed(t)})
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(out, "]}\n"...))
}

func exposed(t Tool) []byte {
	out := rawjson.AppendText([]byte(`{"dotted":`), t.Dotted)
	out = rawjson.AppendText(append(out, `,"safe":`...), t.Safe)
	return append(out, '}')
}
