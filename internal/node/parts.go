package node

import (
	"errors"
	"os"

	"yipan/internal/fault"
	"yipan/internal/keys"
	"yipan/internal/policy"
)

// openKeys opens the key directory where the configuration says it is.
func openKeys(c *Config) (*keys.Files, error) {
	if c.Keys.Dir == systemd {
		return keys.OpenCredentials(os.Getenv("CREDENTIALS_DIRECTORY"))
	}
	return keys.Open(c.KeysDir())
}

// loadPolicies reads the policy files; none means the embedded policy.
func loadPolicies(files []string) (*policy.Set, error) {
	if len(files) == 0 {
		return policy.NewSet(policy.Default())
	}
	var ps []*policy.Policy
	for _, name := range files {
		b, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			return nil, fault.NotFound("POLICY_FILE", "node: no policy file %s", name).On("policy.files").Zh("没有政策文件 %s", name)
		}
		if err != nil {
			return nil, fault.Unavailable("POLICY_FILE", "node: read policy file %s", name).On("policy.files").Because(err).Zh("无法读取政策文件 %s", name)
		}
		p, err := policy.Parse(b)
		if err != nil {
			e := fault.Invalid("POLICY_FILE", "node: policy file %s", name).On("policy.files").Because(err)
			if f, ok := fault.As(err); ok {
				e = e.Zh("%s：%s", name, f.Text)
			}
			return nil, e
		}
		ps = append(ps, p)
	}
	return policy.NewSet(ps...)
}
