package cli

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
)

// Levels of the log: slog's own, and those that LXC has besides.
const (
	LevelTrace  = slog.Level(-8)
	LevelDebug  = slog.LevelDebug
	LevelInfo   = slog.LevelInfo
	LevelNotice = slog.Level(2)
	LevelWarn   = slog.LevelWarn
	LevelError  = slog.LevelError
	LevelCrit   = slog.Level(12)
	LevelFatal  = slog.Level(16)
)

var levels = []struct {
	name  string
	level slog.Level
}{
	{"FATAL", LevelFatal}, {"CRIT", LevelCrit}, {"WARN", LevelWarn}, {"ERROR", LevelError},
	{"NOTICE", LevelNotice}, {"INFO", LevelInfo}, {"DEBUG", LevelDebug}, {"TRACE", LevelTrace},
	{"ALERT", LevelCrit},
}

// level finds a level by its name, in capitals or not, as LXC does.
func level(name string) (slog.Level, error) {
	for _, l := range levels {
		if strings.EqualFold(l.name, name) {
			return l.level, nil
		}
	}
	return 0, Usagef("option --logpriority: there is no level %q; take FATAL, CRIT, WARN, ERROR, NOTICE, INFO, DEBUG or TRACE", name)
}

// openLog opens the log file that was asked for and makes t.Log write to it.
func (t *Tool) openLog() error {
	minimum, err := level(t.Common.Priority)
	if err != nil {
		return err
	}
	if t.Common.LogFile == "" || t.Common.LogFile == "none" { // "none" is LXC's word
		return nil
	}
	f, err := os.OpenFile(t.Common.LogFile, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("log file: %w", err)
	}
	t.logFile = f
	t.Log = slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{
		Level: minimum,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if l, ok := a.Value.Any().(slog.Level); ok && a.Key == slog.LevelKey {
				for _, known := range levels {
					if known.level == l {
						return slog.String(a.Key, known.name)
					}
				}
			}
			return a
		},
	})).With("command", t.Name, "pid", os.Getpid())
	return nil
}
