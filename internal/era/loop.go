package era

import (
	"slices"

	"mcpgateway/internal/mcp"
	"mcpgateway/internal/rawjson"
)

// Looped refuses a message that has passed the gateway of this id before: its _meta lists the
// gateways on its way. Such a gateway is registered with itself, directly or through others,
// and its messages would go round for ever. It is nil where all is well.
func Looped(meta []byte, id string) *mcp.Error {
	if len(meta) == 0 || meta[0] != '{' || id == "" {
		return nil
	}
	via := rawjson.Get(meta, mcp.MetaVia)
	if via == nil || !slices.ContainsFunc(passed(via), func(one string) bool { return one == id }) {
		return nil
	}
	return ErrLoop
}

// ErrLoop says that a gateway would serve itself.
var ErrLoop = mcp.Errorf(mcp.InvalidRequest, "loop", "this gateway is registered with itself, directly or through another gateway; remove that server from its configuration")

// WithGateways adds to a list the gateways whose entries are among it, the answering one
// first, where a gateway asks: two that are registered with each other pass no request on
// before one of them is called, and would show each other's entries in ever longer names.
func WithGateways(result []byte, c *mcp.Call, own string, inside []string) []byte {
	if own == "" || rawjson.Get(c.Params.Meta, mcp.MetaVia) == nil {
		return result
	}
	ids := rawjson.AppendText([]byte{'['}, own)
	for _, id := range inside {
		ids = rawjson.AppendText(append(ids, ','), id)
	}
	meta := rawjson.AppendEdited(nil, rawjson.Get(result, "_meta"), rawjson.Edit{Key: mcp.MetaVia, Value: append(ids, ']')})
	return rawjson.AppendEdited(nil, result, rawjson.Edit{Key: "_meta", Value: meta})
}

// maxGateways bounds what a list may say of the gateways in it.
const maxGateways = 64

// note keeps the gateways that a page of a list names.
func (l *Listing) note(result []byte) {
	for _, id := range passed(rawjson.Get(rawjson.Get(result, "_meta"), mcp.MetaVia)) {
		if len(l.Gateways) < maxGateways && len(id) <= 64 && !slices.Contains(l.Gateways, id) {
			l.Gateways = append(l.Gateways, id)
		}
	}
}

// passed reads the list of gateways that a message has passed.
func passed(via []byte) []string {
	var out []string
	for one := range rawjson.Elements(via) {
		if id, ok := rawjson.Text(one); ok {
			out = append(out, id)
		}
	}
	return out
}
