package main

import (
	"runtime/debug"

	"yipan/internal/cli"
)

// program is the grammar: what talks gRPC is embedded, what works on this
// machine has a file of its own here.
type program struct {
	cli.Globals
	cli.Commands

	Demo      DemoCommand      `cmd:"" help:"演示：三个县的节点、一份真实规模的名册，从发出到反馈|The demo: nodes of three counties and a real roster, from sending to feedback"`
	Hub       HubCommand       `cmd:"" help:"运行消息服务器（单独的进程）|Run the broker as a process of its own"`
	Authority AuthorityCommand `cmd:"" help:"交换管理机构：建立、接纳节点、发布名录|The exchange authority: set up, admit nodes, publish the directory"`
	Init      InitCommand      `cmd:"" help:"新建节点：密钥、证书、配置、接入申请|Make a node: keys, certificate, configuration, join request"`
	Join      JoinCommand      `cmd:"" help:"接入交换网：导入管理机构公钥和名录|Join an exchange: take in the authority's key and directory"`
	Serve     ServeCommand     `cmd:"" help:"运行节点|Run the node"`
	Migrate   MigrateCommand   `cmd:"" help:"把数据库升级到本程序的版本|Bring the database to this program's schema"`
	Config    ConfigCommand    `cmd:"" help:"配置：查看、检查|The configuration: show, check"`
	User      UserCommand      `cmd:"" help:"本节点的账号与令牌|Accounts and tokens of this node"`
	Policy    PolicyCommand    `cmd:"" help:"政策文件|Policy files"`
	Area      AreaCommand      `cmd:"" help:"行政区划：载入村级名称|Areas: load the names of villages"`
	Key       KeyCommand       `cmd:"" help:"本节点的密钥：查看、更换检索密钥|The node's keys: list, rotate the index key"`
	Doctor    DoctorCommand    `cmd:"" help:"检查本节点并说明怎么办|Check this node and say what to do"`
	Bench     BenchCommand     `cmd:"" help:"性能测量|Measure performance"`
	Version   VersionCommand   `cmd:"" help:"程序版本|The program's version"`
}

// version is set by a release's build (-ldflags "-X main.version=…").
var version = "devel"

// VersionCommand is `yipan version`.
type VersionCommand struct{}

// Run prints the version.
func (VersionCommand) Run(e *cli.Env) error {
	v := struct {
		Version string `json:"version"`
		Go      string `json:"go"`
	}{Version: programVersion()}
	if info, ok := debug.ReadBuildInfo(); ok {
		v.Go = info.GoVersion
	}
	if e.JSON {
		return object(e, v)
	}
	say(e, "yipan %s（%s）", "yipan %s (%s)", v.Version, v.Go)
	return nil
}

// programVersion is the release, or that of the module where `go install` built
// it.
func programVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && version == "devel" && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return version
}
