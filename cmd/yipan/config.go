package main

import (
	"os"
	"path/filepath"
	"strings"

	"yipan/internal/cli"
	"yipan/internal/node"
)

// configName is the file that `yipan init` writes.
const configName = "yipan.toml"

// Configured are the flags of every command that works on a node of this
// machine.
type Configured struct {
	Config string   `placeholder:"FILE" help:"配置文件（YIPAN_CONFIG；默认为当前目录的 yipan.toml，若有）|Configuration file (YIPAN_CONFIG; else yipan.toml here, if there is one)"`
	Set    []string `placeholder:"KEY=VALUE" sep:"none" help:"改动一个配置项，可重复|Set one key of the configuration; may be repeated"`
}

// load reads the configuration: flags over environment over file.
func (c Configured) load(e *cli.Env) (*node.Loaded, error) {
	file := c.Config
	if file == "" && e.Getenv != nil {
		file = e.Getenv("YIPAN_CONFIG")
	}
	if file == "" {
		if _, err := os.Stat(configName); err == nil {
			file = configName
		}
	}
	// A folder means the file in it, as init leaves it.
	if st, err := os.Stat(file); err == nil && st.IsDir() {
		file = filepath.Join(file, configName)
	}
	return node.Load(node.Sources{File: file, Set: c.Set, Lookup: func(name string) (string, bool) {
		if e.Getenv == nil {
			return "", false
		}
		v := e.Getenv(name)
		return v, v != ""
	}})
}

// elsewhere are the YIPAN_ variables that mean something to commands.
var elsewhere = []string{"YIPAN_CONFIG", "YIPAN_ADDR", "YIPAN_TOKEN_FILE", "YIPAN_CA", "YIPAN_ON_BEHALF", "YIPAN_LANG"}

// ConfigCommand groups `yipan config dump` and `check`.
type ConfigCommand struct {
	Dump  ConfigDump  `cmd:"" help:"列出每个配置项的值和来源，密码隐去|Show every key, its value and where it comes from; secrets redacted"`
	Check ConfigCheck `cmd:"" help:"检查配置|Check the configuration"`
}

// ConfigDump is `yipan config dump`.
type ConfigDump struct{ Configured }

// Run prints the configuration as TOML with origins, or as lines of JSON.
func (c ConfigDump) Run(e *cli.Env) error {
	l, err := c.load(e)
	if err != nil {
		return err
	}
	section := ""
	for _, s := range l.Dump() {
		if e.JSON {
			if err := object(e, s); err != nil {
				return err
			}
			continue
		}
		table, key, _ := strings.Cut(s.Key, ".")
		if table != section {
			if section != "" {
				say(e, "", "")
			}
			say(e, "[%s]", "[%s]", table)
			section = table
		}
		from := s.At
		if from == "" {
			from = e.T("默认", "default")
		}
		say(e, "%s = %s  # %s", "%s = %s  # %s", key, s.Value, from)
	}
	return nil
}

// ConfigCheck is `yipan config check`.
type ConfigCheck struct{ Configured }

// Run says whether the configuration is right.
func (c ConfigCheck) Run(e *cli.Env) error {
	l, err := c.load(e)
	if err != nil {
		return err
	}
	unknown := node.Unknown(os.Environ(), elsewhere...)
	if e.JSON {
		return object(e, map[string]any{"ok": true, "file": l.File, "unknown_variables": unknown})
	}
	for _, name := range unknown {
		e.Note("提醒：环境变量 %s 没有意义", "Note: environment variable %s means nothing", name)
	}
	if l.ID() == 0 {
		e.Note("提醒：没有写明 node.area，还不能运行节点", "Note: node.area is not set, so that no node can run yet")
	}
	say(e, "配置正确", "The configuration is right")
	return nil
}
