package app

import (
	"fmt"
	"io"
	"strings"

	"mcpgateway/internal/config"
)

// Check reads the config and tells everything that is to be said about it: warnings on
// stderr, problems as the error, and where there are none a line for each server. It
// starts and reaches nothing. A server that cannot start, because a variable is missing
// for example, keeps no other from working and is no problem of the file; strict makes it
// one, and warnings too.
func Check(o Options, strict bool) error {
	a := &App{o: o, log: NewLog(o.Stderr, o.LogLevel)}
	cfg, warnings, err := config.Inspect(o.Config, a.lookup)
	for _, w := range warnings {
		a.log.Warn(w.Error())
	}
	if err != nil {
		return err
	}
	if _, err := io.WriteString(o.Stdout, checked(cfg.Servers)); err != nil {
		return err
	}
	faults := len(warnings)
	for _, s := range cfg.Servers {
		if s.Enabled && s.Problem != "" {
			faults++
		}
	}
	if len(cfg.Servers) == 0 {
		a.log.Warn(o.Config + " has no servers; the management API may add some")
	}
	if strict && faults > 0 {
		return fmt.Errorf("%s is right, but --strict counts %s", o.Config, countOf(faults, "warning or server that cannot start", "warnings and servers that cannot start"))
	}
	return nil
}

// checked is a line for each server: its name, its transport, whether it is enabled, and
// what keeps it from starting.
func checked(servers []config.Server) string {
	widest := 0
	for _, s := range servers {
		widest = max(widest, len(s.Name))
	}
	var b strings.Builder
	for _, s := range servers {
		state := "enabled"
		if !s.Enabled {
			state = "disabled"
		}
		fmt.Fprintf(&b, "%-*s  %-15s  ", widest, s.Name, s.Shown())
		if s.Problem == "" {
			b.WriteString(state)
		} else {
			fmt.Fprintf(&b, "%-8s  cannot start: %s", state, printable(s.Problem))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func countOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
