package app

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mcpgateway/internal/transport/stdio"
)

// origin is the mark of a config file, by its place; empty for none. Gateways give it to the
// processes that they start.
func origin(file string) string {
	if file == "" {
		return ""
	}
	if whole, err := filepath.Abs(file); err == nil {
		file = whole
	}
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	sum := sha256.Sum256([]byte(file))
	return hex.EncodeToString(sum[:8])
}

// checkOrigin refuses to run from a config from which a gateway above us runs that started us, however
// indirectly: we would start the same server, and so on without end.
func (a *App) checkOrigin() error {
	above, _ := a.o.LookupEnv(stdio.OriginMark)
	if own := origin(a.o.Config); own == "" || !slices.Contains(strings.Split(above, "/"), own) {
		return nil
	}
	return fmt.Errorf("this gateway was started as a server of a gateway that runs from %s as well, so it would start itself without end; "+
		"remove the server that starts a gateway from that file, or give that gateway a config of its own with --config", a.o.Config)
}
