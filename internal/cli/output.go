package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// message is any message of the API.
type message = proto.Message

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// line writes a message as one line of JSON. protojson varies its spaces on
// purpose, so that they are taken out.
func (e *Env) line(m proto.Message) error {
	b, err := marshal(m)
	if err != nil {
		return err
	}
	_, err = e.Out.Write(append(b, '\n'))
	return err
}

func marshal(m proto.Message) ([]byte, error) {
	b, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("cli: encode: %w", err)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		return nil, fmt.Errorf("cli: encode: %w", err)
	}
	return out.Bytes(), nil
}

// object writes a value of this package as one line of JSON.
func (e *Env) object(v any) error {
	enc := json.NewEncoder(e.Out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// lines writes many messages, one a line.
func lines[M proto.Message](e *Env, ms []M) error {
	for _, m := range ms {
		if err := e.line(m); err != nil {
			return err
		}
	}
	return nil
}

// say writes a line of a human answer to standard output.
func (e *Env) say(zh, en string, a ...any) {
	fmt.Fprintln(e.Out, plain(fmt.Sprintf(e.T(zh, en), a...)))
}

// warn writes a node's warnings, which are Chinese, to standard error.
func (e *Env) warn(ws []string) {
	for _, w := range ws {
		e.Note("提醒：%s", "Note: %s", plain(w))
	}
}

const maxInput = 64 << 20 // bytes of one input file

// open opens a file, or standard input for "-".
func (e *Env) open(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(e.In), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, usage(e, "无法打开 %s：%v", "cannot open %s: %v", name, e.cause(err))
	}
	return f, nil
}

// read reads a whole file, or standard input for "-".
func (e *Env) read(name string) ([]byte, error) {
	f, err := e.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxInput+1))
	if err != nil {
		return nil, usage(e, "无法读取 %s：%v", "cannot read %s: %v", name, e.cause(err))
	}
	if len(b) > maxInput {
		return nil, usage(e, "%s 超过 64 MB", "%s is larger than 64 MB", name)
	}
	return b, nil
}

// message reads a request from JSON. The error repeats none of it, because it
// holds a person.
func (e *Env) message(name string, m proto.Message) error {
	b, err := e.read(name)
	if err != nil {
		return err
	}
	if err := protojson.Unmarshal(b, m); err != nil {
		return usage(e, "%s 不是正确的 JSON 请求（%s）", "%s is not a JSON request (%s)", name, m.ProtoReflect().Descriptor().Name())
	}
	return nil
}
