package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"yipan/internal/cli"
)

// begin starts yipan as a process and returns it with its first line.
func begin(t *testing.T, args ...string) (*exec.Cmd, map[string]any) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = []string{asProgram + "=1"}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "YIPAN_") { // the machine's own database is none of this test's
			cmd.Env = append(cmd.Env, v)
		}
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		late.Stop()
		cmd.Process.Kill()
		cmd.Wait()
	})
	var line map[string]any
	if err := json.NewDecoder(stdout).Decode(&line); err != nil {
		t.Fatalf("yipan %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return cmd, line
}

func TestServeLeavesNothingBehind(t *testing.T) {
	dir := place(t)
	authority := filepath.Join(dir, "authority")
	must(t, "authority", "init", authority)
	_, hub := begin(t, "hub", "--store", filepath.Join(dir, "hub"), "--listen", "127.0.0.1:0")
	node := initNode(t, dir, "3:520330", "--bus", hub["url"].(string))
	must(t, "authority", "admit", authority, filepath.Join(node, requestName), "--publish", hub["url"].(string))
	must(t, "join", "--config", node, "--authority", filepath.Join(authority, authorityPub))
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGINT} {
		cmd, line := begin(t, "serve", "--config", node)
		if line["ready"] != true || line["node"] != "3:520330" || line["grpc"] == "" || line["metrics"] == "" {
			t.Errorf("ready line: %v", line)
		}
		if sig == syscall.SIGTERM {
			// Local commands join the running node's database.
			must(t, "user", "list", "--config", node)
			if r := yipan(t, "doctor", "--config", node, "--json"); r.code != cli.ExitOK {
				t.Errorf("doctor on a running node: %+v", r)
			}
			if r := yipan(t, "serve", "--config", node); r.code == cli.ExitOK {
				t.Errorf("two nodes on one folder: %+v", r)
			}
		}
		pid := postmaster(t, node)
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		err := cmd.Wait()
		if sig != syscall.SIGKILL && err != nil {
			t.Errorf("after %v: %v", sig, err)
		}
		gone(t, pid)
	}
}

func postmaster(t *testing.T, node string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(node, "pg", "pg", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// gone waits until a process has ended; what nobody reaps yet has.
func gone(t *testing.T, pid int) {
	t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && strings.Contains(string(b), ") Z ") || err != nil && syscall.Kill(pid, 0) != nil {
			return
		}
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("postgres %d outlived its node", pid)
		}
	}
}
