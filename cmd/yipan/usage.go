package main

import (
	"errors"
	"strings"

	"yipan/internal/cli"
	"yipan/internal/fault"
)

// inLanguage renders an error of AfterApply, whose text is shown as it is.
// Errors of AfterApply are usage errors: exit code 2.
func inLanguage(e *cli.Env, err error) error {
	if f, ok := fault.As(err); ok && f.Text != "" {
		return errors.New(e.T(f.Text, f.Error()))
	}
	return err
}

// misuse is a usage error.
func misuse(e *cli.Env, zh, en string) error { return errors.New(e.T(zh, en)) }

// sameFingerprint compares what people type, with any spaces and case.
func sameFingerprint(typed, real string) bool {
	squeeze := func(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), "")) }
	return squeeze(typed) == squeeze(real)
}
