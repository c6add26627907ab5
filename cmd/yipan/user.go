package main

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cli"
	"yipan/internal/fault"
	"yipan/internal/node"
	"yipan/internal/seal"
	"yipan/internal/store"
)

// UserCommand groups the commands on accounts. They work on the node's database
// and are for the machine's owner; SECURITY D16 splits what each role may see.
type UserCommand struct {
	Add     UserAdd     `cmd:"" help:"新建账号并发一个令牌|Make an account and give it a token"`
	Disable UserDisable `cmd:"" help:"停用账号，其令牌立即失效|Disable an account; its tokens end at once"`
	List    UserList    `cmd:"" help:"列出账号|List accounts"`
	Token   UserToken   `cmd:"" help:"给现有账号再发一个令牌|Give an account another token"`
}

// maxTokenDays is the longest life of a token (SECURITY D16).
const maxTokenDays = 90

// Issuing are the flags of commands that make a token.
type Issuing struct {
	Days      int    `default:"90" help:"令牌有效天数，最多 90|Days that the token is valid, at most 90"`
	TokenFile string `placeholder:"FILE" help:"把令牌写入此新文件（仅本人可读）；否则输出一次|Write the token to this new file (0600); else it is printed once"`
}

func (i Issuing) check(e *cli.Env) error {
	if i.Days < 1 || i.Days > maxTokenDays {
		return misuse(e, "--days 应为 1 到 90", "--days must be from 1 to 90")
	}
	return nil
}

// issue stores the hash of a new token and hands the token out once: the file
// comes first, so that no token works which nobody has.
func (i Issuing) issue(ctx context.Context, e *cli.Env, db *store.DB, name string) error {
	secret, hash := seal.Token()
	expires := time.Now().Add(time.Duration(i.Days) * 24 * time.Hour)
	if i.TokenFile != "" {
		if err := writeNew(i.TokenFile, secret+"\n", 0o600); err != nil {
			return err
		}
	}
	if err := db.AddToken(ctx, hash, name, expires); err != nil {
		return err
	}
	if e.JSON {
		line := map[string]string{"account": name, "expires": expires.UTC().Format(time.RFC3339)}
		if i.TokenFile == "" {
			line["token"] = secret
		} else {
			line["token_file"] = i.TokenFile
		}
		return object(e, line)
	}
	if i.TokenFile != "" {
		say(e, "账号 %s 的令牌在 %s 中，%s 到期", "The token of %s is in %s and expires on %s", name, i.TokenFile, expires.Format(time.DateOnly))
		return nil
	}
	e.Note("账号 %s 的令牌（只显示这一次，%s 到期）：", "The token of %s (shown this once, expires on %s):", name, expires.Format(time.DateOnly))
	say(e, "%s", "%s", secret)
	return nil
}

// accountName: stable, and never a person's name (it stands in logs).
var accountName = regexp.MustCompile(`^[a-z][a-z0-9._-]{1,39}$`)

func checkAccount(e *cli.Env, name string) error {
	if accountName.MatchString(name) {
		return nil
	}
	return misuse(e, "账号由 2 到 40 个小写字母、数字、点、横线组成，字母开头（不用真名）",
		"an account is 2 to 40 lower-case letters, digits, dots and dashes, beginning with a letter (no real names)")
}

// UserAdd is `yipan user add NAME`.
type UserAdd struct {
	Configured
	Issuing
	Name      string   `arg:"" help:"账号名（不用真名）|Name of the account, not a person's"`
	Role      string   `required:"" help:"clerk 经办人、distributor 分发员、county 县级、auditor 审计、admin 管理员、security 安全员、service 程序|clerk, distributor, county, auditor, admin, security or service"`
	Area      []string `placeholder:"4:520330001" help:"所属单位的区划，可重复|Areas that the account works for"`
	GrantedBy []string `placeholder:"ACCOUNT" help:"同意的安全员账号；能看到个人信息的角色须有两名|Security accounts that agree; two for a role that sees persons"`

	areas []area.Key
}

// AfterApply checks what needs no database.
func (c *UserAdd) AfterApply(e *cli.Env) error {
	if err := checkAccount(e, c.Name); err != nil {
		return err
	}
	role := access.Role(c.Role)
	if !slices.Contains(access.Roles(), role) {
		return misuse(e, "没有角色 "+c.Role, "no such role: "+c.Role)
	}
	for _, s := range c.Area {
		k, err := area.Parse(s)
		if err != nil {
			return inLanguage(e, err)
		}
		if _, ok := area.Lookup(k); !ok {
			return misuse(e, "没有这个行政区划："+s, "no such area: "+s)
		}
		if !slices.Contains(c.areas, k) {
			c.areas = append(c.areas, k)
		}
	}
	if needsArea(role) && len(c.areas) == 0 {
		return misuse(e, "角色 "+c.Role+" 须写明 --area", "role "+c.Role+" needs --area")
	}
	return c.check(e)
}

// needsArea: everybody works for some area but those who look after the machine
// or the accounts.
func needsArea(r access.Role) bool { return r != access.Admin && r != access.Security }

// Run makes the account.
func (c *UserAdd) Run(ctx context.Context, e *cli.Env) error {
	return withStore(ctx, c.Configured, e, func(l *node.Loaded, db *store.DB) error {
		all, err := db.Accounts(ctx)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(a store.Account) bool { return a.ID == c.Name }) {
			// Also a disabled one: its old tokens would work again.
			return fault.Conflict("ACCOUNT_EXISTS", "account %s exists", c.Name).Zh("账号 %s 已存在（停用的账号名也不再使用）", c.Name)
		}
		if err := granted(c.Name, access.Role(c.Role), c.GrantedBy, all); err != nil {
			return err
		}
		for _, k := range c.areas {
			if !k.Within(l.ID().Area()) {
				e.Note("提醒：%s 不在本节点的区划 %s 内", "Note: %s is not within this node's area %s", k, l.ID())
			}
		}
		a := store.Account{ID: c.Name, Role: access.Role(c.Role), Offices: c.areas, GrantedBy: c.GrantedBy}
		if a.GrantedBy == nil {
			a.GrantedBy = []string{}
		}
		if err := db.PutAccount(ctx, a); err != nil {
			return err
		}
		return c.issue(ctx, e, db, c.Name)
	})
}

// granted holds a new account to SECURITY D16: a role that is ever shown a
// person is granted by two security accounts of this node, neither of which is
// the new one. The first two security accounts are made by the machine's owner;
// afterwards they are granted in the same way, or else the owner could make the
// grantors one needs.
func granted(name string, role access.Role, by []string, all []store.Account) error {
	active := func(id string) bool {
		return slices.ContainsFunc(all, func(a store.Account) bool { return a.ID == id && a.Role == access.Security && !a.Disabled })
	}
	guards := 0 // disabled ones count: disabling all must not open the door again
	for _, a := range all {
		if a.Role == access.Security {
			guards++
		}
	}
	if !role.ReadsPersons() && (role != access.Security || guards < 2) {
		return nil
	}
	distinct := map[string]bool{}
	for _, g := range by {
		switch {
		case g == name:
			return fault.Denied("GRANTED_BY_SELF", "account %s cannot grant itself", name).Zh("账号不能由自己批准").On("granted-by")
		case !active(g):
			return fault.Denied("GRANTOR", "%s is not an active security account of this node", g).
				Zh("%s 不是本节点在用的安全员账号；先用 yipan user add … --role security 建立两名安全员", g).On("granted-by")
		}
		distinct[g] = true
	}
	if len(distinct) < 2 {
		return fault.Denied("TWO_GRANTORS", "role %s needs two distinct security accounts as grantors", role).
			Zh("角色 %s 须由两名不同的安全员批准（--granted-by 写两次）", role).On("granted-by")
	}
	return nil
}

// UserToken is `yipan user token NAME`.
type UserToken struct {
	Configured
	Issuing
	Name string `arg:"" help:"账号|Account"`
}

// AfterApply checks the flags.
func (c *UserToken) AfterApply(e *cli.Env) error { return c.check(e) }

// Run gives an active account another token.
func (c *UserToken) Run(ctx context.Context, e *cli.Env) error {
	return withStore(ctx, c.Configured, e, func(_ *node.Loaded, db *store.DB) error {
		all, err := db.Accounts(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(all, func(a store.Account) bool { return a.ID == c.Name && !a.Disabled }) {
			return fault.NotFound("ACCOUNT", "no active account of that name").Zh("没有这个账号，或已停用")
		}
		return c.issue(ctx, e, db, c.Name)
	})
}

// UserDisable is `yipan user disable NAME`.
type UserDisable struct {
	Configured
	Name string `arg:"" help:"账号|Account"`
}

// Run disables the account.
func (c UserDisable) Run(ctx context.Context, e *cli.Env) error {
	return withStore(ctx, c.Configured, e, func(_ *node.Loaded, db *store.DB) error {
		if err := db.DisableAccount(ctx, c.Name); err != nil {
			return err
		}
		if e.JSON {
			return object(e, map[string]any{"account": c.Name, "disabled": true})
		}
		say(e, "账号 %s 已停用", "Account %s is disabled", c.Name)
		return nil
	})
}

// UserList is `yipan user list`.
type UserList struct{ Configured }

// Run lists the accounts.
func (c UserList) Run(ctx context.Context, e *cli.Env) error {
	return withStore(ctx, c.Configured, e, func(_ *node.Loaded, db *store.DB) error {
		all, err := db.Accounts(ctx)
		if err != nil {
			return err
		}
		for _, a := range all {
			if e.JSON {
				if err := object(e, map[string]any{
					"account": a.ID, "role": string(a.Role), "areas": areaTexts(a.Offices), "granted_by": a.GrantedBy, "disabled": a.Disabled,
				}); err != nil {
					return err
				}
				continue
			}
			state := e.T("在用", "active")
			if a.Disabled {
				state = e.T("停用", "disabled")
			}
			say(e, "%-20s %-12s %s  %s  %s", "%-20s %-12s %s  %s  %s", a.ID, a.Role, state,
				strings.Join(areaTexts(a.Offices), " "), strings.Join(a.GrantedBy, " "))
		}
		return nil
	})
}
