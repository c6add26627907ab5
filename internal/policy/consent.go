package policy

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"slices"
	"strings"
	"sync"

	"yipan/internal/fault"
	"yipan/internal/ledger"
)

// ConsentText is one version of the text that a person is shown before a
// consent for a purpose (SECURITY D12). A consent names the version and its
// hash; a text never changes under its version.
type ConsentText struct {
	Version string   // 1..40 of [A-Za-z0-9._-]
	Purpose string   // one of ledger.Purposes
	Text    string   // "" where a policy gives the hash alone
	Hash    [32]byte // SHA-256 of CanonicalText(Text)
}

// SHA256 returns the hash as 64 hex digits, as people and forms write it.
func (c ConsentText) SHA256() string { return hex.EncodeToString(c.Hash[:]) }

// CanonicalText returns what the hash of a consent text is taken of, and what
// `yipan policy texts` prints: as Canonical, so that `sha256sum` of the printed
// text gives the same digits.
func CanonicalText(s string) string { return string(Canonical([]byte(s))) }

//go:embed consent/*.txt
var textFiles embed.FS

// standardTexts reads the embedded texts, consent/<purpose>.<version>.txt, once.
// They are part of the program: a broken one is a bug that every test meets.
var standardTexts = sync.OnceValue(func() []ConsentText {
	var out []ConsentText
	for _, purpose := range ledger.Purposes() {
		version := strings.ReplaceAll(purpose, "_", "-") + "-2026.1"
		b, err := textFiles.ReadFile("consent/" + version + ".txt")
		if err != nil {
			panic(err)
		}
		out = append(out, ConsentText{Version: version, Purpose: purpose, Text: CanonicalText(string(b)), Hash: sha256.Sum256(Canonical(b))})
	}
	return out
})

// StandardTexts returns the texts that come with the program, one for each
// purpose, for offices whose policy names none.
func StandardTexts() []ConsentText { return slices.Clone(standardTexts()) }

// TextsFor returns the texts of a purpose: those that the policy names, and the
// standard one, unless the policy uses its version for a text of its own.
func (p *Policy) TextsFor(purpose string) []ConsentText {
	var out []ConsentText
	for _, c := range p.Texts {
		if c.Purpose == purpose {
			out = append(out, c)
		}
	}
	for _, c := range standardTexts() {
		if c.Purpose == purpose && !slices.ContainsFunc(p.Texts, func(o ConsentText) bool { return o.Version == c.Version }) {
			out = append(out, c)
		}
	}
	return out
}

// CheckText holds the text that a consent names against those that are known:
// a known version must come with its own hash and for its own purpose. A
// version that nobody knows passes (noted is then false) unless the policy
// names texts for the purpose. Errors: Invalid TEXT_HASH on "text_sha256",
// TEXT_PURPOSE and TEXT_UNKNOWN on "text_version".
func (p *Policy) CheckText(purpose, version string, hash [32]byte) (noted bool, err error) {
	for _, c := range append(slices.Clone(p.Texts), standardTexts()...) {
		switch {
		case c.Version != version:
		case c.Purpose != purpose:
			return false, fault.Invalid("TEXT_PURPOSE", "consent text %s is for purpose %s", version, c.Purpose).
				Zh("文本 %s 是另一用途（%s）的同意书，不能用于 %s", version, c.Purpose, purpose).On("text_version")
		case c.Hash != hash:
			return false, fault.Invalid("TEXT_HASH", "consent text %s has SHA-256 %s", version, c.SHA256()).
				Zh("校验值与文本 %s 不符，应为 %s：请核对打印的同意书是不是这一版（yipan policy texts）", version, c.SHA256()).On("text_sha256")
		default:
			return true, nil
		}
	}
	var own []string
	for _, c := range p.Texts {
		if c.Purpose == purpose {
			own = append(own, c.Version)
		}
	}
	if len(own) > 0 {
		return false, fault.Invalid("TEXT_UNKNOWN", "policy %s names no consent text %.40q for purpose %s", p.Version, version, purpose).
			Zh("政策 %s 中没有这一版同意书，可用：%s", p.Version, strings.Join(own, "、")).On("text_version")
	}
	return false, nil
}

func (p *Policy) readTexts(ts []*table) {
	seen := map[string]bool{}
	for _, t := range ts {
		c := ConsentText{Version: t.text("version", true, 40), Purpose: t.choice("purpose", true, ledger.Purposes()...)}
		if !plainWord(c.Version) {
			t.add("version", "只能用字母、数字、点、下划线和连字符")
		}
		if c.Version != "" && seen[c.Version] {
			t.add("version", "重复：一个版本号只能有一份文本")
		}
		seen[c.Version] = true
		c.Text = t.text("text", false, 16<<10)
		sum := t.text("sha256", false, 64)
		t.done()
		if c.Text != "" {
			c.Text = CanonicalText(c.Text)
			c.Hash = sha256.Sum256([]byte(c.Text))
			if sum != "" && !strings.EqualFold(sum, c.SHA256()) {
				t.add("sha256", "与 text 不符：text 的校验值是 %s", c.SHA256())
			}
		} else if b, err := hex.DecodeString(sum); err == nil && len(b) == len(c.Hash) {
			c.Hash = [32]byte(b)
		} else if sum != "" {
			t.add("sha256", "应为 64 位十六进制数")
		} else {
			t.add("", "text（全文）与 sha256（校验值）至少写一个")
		}
		for _, std := range standardTexts() {
			if std.Version == c.Version && std.Hash != c.Hash {
				t.add("version", "%s 是内置文本的版本号，内容却不同，请另取版本号", c.Version)
			}
		}
		p.Texts = append(p.Texts, c)
	}
}

// plainWord reports whether s can be a version: letters, digits, dot, underscore
// and hyphen.
func plainWord(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-", c))
	})
}
