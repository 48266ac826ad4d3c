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
	return mcp.Errorf(mcp.InvalidRequest, "loop", "this gateway is registered with itself, directly or through another gateway; remove that server from its configuration")
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
