package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Execute parses args (without the program's name) by the kong grammar app, runs
// the chosen command and returns the exit code; errors are explained on s.Err.
// app is a pointer to a struct that embeds Globals, and Commands or not. Run
// methods may take a context.Context, an *Env, and what binds holds.
func Execute(ctx context.Context, name, about string, app any, args []string, s Std, binds ...any) int {
	if s.In == nil {
		s.In = strings.NewReader("")
	}
	e := &Env{Std: s, Lang: Language(args, s.Getenv)}
	defer e.close()
	parser, err := kong.New(app, kong.Name(name), kong.Description(e.Lang.half(about)),
		kong.Writers(s.Out, s.Err), kong.Exit(func(int) {}),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.Help(help(e.Lang)), kong.Bind(append(binds, e)...),
		kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		fmt.Fprintln(s.Err, err)
		return ExitFailed
	}
	localize(parser, e.Lang)
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if errors.Is(err, errHelpShown) {
		return ExitOK
	}
	if err == nil {
		err = k.Run()
	} else if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context != nil {
		err = &parseError{err: err, command: commandPath(name, parse.Context), flags: flagWords(parse.Context)}
	}
	if err != nil {
		e.explain(err)
	}
	return ExitCode(err)
}

// Run is Execute with Commands alone, for tests and for programs that need
// nothing local.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer, getenv func(string) string) int {
	var app struct {
		Globals
		Commands
	}
	return Execute(ctx, "yipan", "", &app, args, Std{Out: stdout, Err: stderr, Getenv: getenv})
}

func commandPath(name string, k *kong.Context) string {
	if n := k.Selected(); n != nil {
		return name + " " + n.Path()
	}
	return name
}

// parseError is a command line that the grammar refuses.
type parseError struct {
	err     error
	command string
	flags   map[string]string // what the flags of the command are for, by name
}

func (p *parseError) Error() string { return p.err.Error() }
func (p *parseError) Unwrap() error { return p.err }

// errHelpShown ends parsing after --help.
var errHelpShown = errors.New("help shown")

// help prints kong's help with its headings in the language.
func help(lang Lang) kong.HelpPrinter {
	return func(o kong.HelpOptions, ctx *kong.Context) error {
		var b bytes.Buffer
		out := ctx.Stdout
		ctx.Stdout = &b
		err := kong.DefaultHelpPrinter(o, ctx)
		ctx.Stdout = out
		if err != nil {
			return err
		}
		text := b.String()
		if lang != English {
			text = placeholders(headings.Replace(text))
		}
		if _, err := io.WriteString(out, text); err != nil {
			return err
		}
		return errHelpShown
	}
}

var headings = strings.NewReplacer(
	"Usage: ", "用法：",
	"\nArguments:\n", "\n参数：\n",
	"\nFlags:\n", "\n选项：\n",
	"\nCommands:\n", "\n命令：\n",
	"\nRun \"", "\n查看某个命令的说明：\"",
	"\" for more information on a command.", "\"",
	"\" for more information.", "\"",
	"<command>", "<命令>",
	"[flags]", "[选项]",
)

// localize chooses the language of every help text, which are of the form
// "中文|English".
func localize(k *kong.Kong, lang Lang) {
	if f := k.Model.HelpFlag; f != nil {
		f.Help = lang.T("显示说明", "Show help")
	}
	// No visitor here fails.
	_ = kong.Visit(k.Model, func(n kong.Visitable, next kong.Next) error {
		switch n := n.(type) {
		case *kong.Application:
			n.Help = lang.half(n.Help)
		case *kong.Node:
			n.Help = lang.half(n.Help)
			n.Detail = lang.half(n.Detail)
		case *kong.Value:
			n.Help = lang.half(n.Help)
			if name := lead(n.Help); n.Flag == nil && lang != English && name != "" {
				n.Name = name
			}
		case *kong.Flag:
			n.Help = lang.half(n.Help)
		}
		return next(nil)
	})
}
