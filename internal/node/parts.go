package node

import (
	"os"
	"time"

	"yipan/internal/fault"
	"yipan/internal/keys"
)

// openKeys opens the key directory where the configuration says it is.
func openKeys(c *Config) (*keys.Files, error) {
	if c.Keys.Dir == systemd {
		f, err := keys.OpenCredentials(os.Getenv("CREDENTIALS_DIRECTORY"))
		return f, inChinese(err)
	}
	f, err := keys.Open(c.KeysDir())
	return f, inChinese(err)
}

func openJournal(c *Config) (*keys.Journal, error) {
	j, err := keys.OpenJournal(c.JournalFile())
	return j, inChinese(err)
}

func loadCertificate(c *Config, now time.Time) (*keys.Certificate, error) {
	cert, err := keys.LoadCertificate(c.TLSFile(), now)
	return cert, inChinese(err)
}

// ofKeys are the texts for users of the errors of package keys, which has none.
var ofKeys = map[string]string{
	"KEYS_MISSING":       "没有密钥目录",
	"KEY_FILE_MISSING":   "缺少密钥或证书文件",
	"KEYS_MODE":          "密钥的权限过宽，他人可能已读取",
	"KEYRING_MALFORMED":  "密钥清单损坏",
	"KEY_FILE_MALFORMED": "密钥文件损坏",
	"SUITE_UNKNOWN":      "本程序不认识密钥的算法",
	"KEYS_IO":            "无法读取密钥",
	"TLS_MALFORMED":      "证书文件不正确",
	"TLS_EXPIRED":        "证书已过期或尚未生效",
	"JOURNAL_MISSING":    "没有擦除日志；日志丢失时不得使用恢复的数据库",
	"JOURNAL_CORRUPT":    "擦除日志损坏",
	"JOURNAL_IO":         "无法读写擦除日志",
}

func inChinese(err error) error {
	if f, ok := fault.As(err); ok && f.Text == "" {
		if text := ofKeys[f.Reason]; text != "" {
			return f.Zh("%s（%s）", text, f.Error())
		}
	}
	return err
}
