package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"yipan/internal/cli"
)

// say writes a line of a human answer to standard output.
func say(e *cli.Env, zh, en string, a ...any) { fmt.Fprintf(e.Out, e.T(zh, en)+"\n", a...) }

// object writes a value as one line of JSON to standard output.
func object(e *cli.Env, v any) error {
	enc := json.NewEncoder(e.Out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// logger writes JSON lines from a level on.
func logger(w io.Writer, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo // node.Config.Check has refused others
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
}
