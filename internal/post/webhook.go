package post

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
)

// Headers of a webhook.
const (
	// HeaderSignature is "t=UNIXSECONDS,v1=HEX": the HMAC-SHA-256 over the seconds,
	// a full stop and the body, under the node's webhook secret. A receiver that
	// refuses old seconds cannot be sent the same message again by others.
	HeaderSignature = "Yipan-Signature"
	// HeaderDelivery is the same at every try of one message.
	HeaderDelivery = "Yipan-Delivery"
)

// maxAnswer is as much of an answer as is read, to end the connection well.
const maxAnswer = 64 << 10

// Webhook posts a JSON body; any status from 200 to 299 is a delivery. key names
// the message at every try.
func (p *Post) Webhook(ctx context.Context, address, key string, body []byte) error {
	if err := p.CheckWebhook(address); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return &Error{Code: CodeAddress}
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("User-Agent", "yipan")
	r.Header.Set(HeaderDelivery, key)
	r.Header.Set(HeaderSignature, p.sign(p.now().Unix(), body))
	resp, err := p.client.Do(r)
	if err != nil {
		return failure(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	switch s := resp.StatusCode; {
	case s >= 200 && s < 300:
		return nil
	case s >= 300 && s < 400:
		return &Error{Code: CodeRedirect, Number: s}
	default:
		return &Error{Code: CodeStatus, Number: s}
	}
}

func (p *Post) sign(seconds int64, body []byte) string {
	at := strconv.FormatInt(seconds, 10)
	m := hmac.New(sha256.New, p.c.Secret)
	_, _ = m.Write([]byte(at + "."))
	_, _ = m.Write(body)
	return "t=" + at + ",v1=" + hex.EncodeToString(m.Sum(nil))
}
