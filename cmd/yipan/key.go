package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"yipan/internal/cli"
	"yipan/internal/fault"
	"yipan/internal/keys"
	"yipan/internal/node"
	"yipan/internal/seal"
)

// KeyCommand groups the commands on the node's keys. They show ids, never keys.
type KeyCommand struct {
	List   KeyList   `cmd:"" help:"列出密钥的编号、状态和仍在使用的行数|List the keys: id, state, and how many rows still need them"`
	Rotate KeyRotate `cmd:"" help:"更换检索密钥（证件、电话的盲索引）|Rotate the index key (blind indexes of documents and telephones)"`
	Remove KeyRemove `cmd:"" help:"销毁旧的检索密钥；仍有行使用时拒绝|Destroy an old index key; refused while rows need it"`
}

// settling is how long after a rotation other processes of the node may not
// have learned of it and write under the old key.
const settling = time.Hour

// useWords say what a key is for.
var useWords = map[seal.Use]string{seal.UseSign: "签名", seal.UseSeal: "加密", seal.UseData: "数据", seal.UseIndex: "检索"}

// KeyList is `yipan key list`.
type KeyList struct{ Placed }

// Run lists the keys; counting needs the database.
func (c KeyList) Run(ctx context.Context, e *cli.Env) error {
	return c.withKeys(ctx, e, func(f *keys.Files, use map[seal.KeyID]int64) error {
		states := map[keys.State]string{keys.Current: e.T("使用中", "current"), keys.Next: e.T("待用　", "next"), keys.Old: e.T("已换下", "old")}
		for _, k := range f.Keys() {
			counted := k.Use == seal.UseIndex
			if e.JSON {
				line := map[string]any{"use": string(k.Use), "state": string(k.State), "id": k.ID.String(), "created": k.Created.Format(time.RFC3339)}
				if counted {
					line["rows"] = use[k.ID]
				}
				if err := object(e, line); err != nil {
					return err
				}
				continue
			}
			rows := ""
			if counted {
				rows = e.T("，行数 ", ", rows ") + strconv.FormatInt(use[k.ID], 10)
			}
			use := e.T(useWords[k.Use], fmt.Sprintf("%-5s", k.Use))
			say(e, "%s  %s  %s  建于 %s%s", "%s %s %s  made on %s%s", use, states[k.State], k.ID, k.Created.Format(time.DateOnly), rows)
		}
		if n := use[seal.KeyID{}]; n > 0 && !e.JSON {
			say(e, "另有 %d 行不知用的是哪个检索密钥，节点运行时会自动重建", "%d rows lie under an index key that nobody knows; a running node makes them anew", n)
		}
		return nil
	})
}

// KeyRotate is `yipan key rotate`.
type KeyRotate struct{ Placed }

// Run makes the next index key current. Old and new are both searched until the
// running node has made all indexes anew.
func (c KeyRotate) Run(e *cli.Env) error {
	l, err := c.load(e)
	if err != nil {
		return err
	}
	f, err := node.OpenKeys(&l.Config)
	if err != nil {
		return err
	}
	if len(f.Indexes()) > 2 { // current, next and an old one
		return fault.Conflict("ROTATION_OPEN", "an old index key is still there").
			Zh("上一次更换还没有结束：请先用 yipan key list 查看旧密钥的行数，归零后 yipan key remove，再更换")
	}
	old := f.Index().ID()
	if err := f.Rotate(seal.UseIndex, time.Now()); err != nil {
		return readOnly(err)
	}
	if e.JSON {
		return object(e, map[string]string{"old": old.String(), "current": f.Index().ID().String()})
	}
	say(e, "检索密钥已更换：%s → %s", "The index key was rotated: %s -> %s", old, f.Index().ID())
	say(e, "运行中的节点一分钟内得知，随后逐批重建索引；其间检索照常，新旧都查", "A running node learns of it within a minute and makes the indexes anew in batches; searches go on and look under both")
	say(e, "请把新密钥一并备份。yipan key list 中旧密钥的行数归零后：yipan key remove %s", "Back the new key up. When yipan key list shows no rows under the old key: yipan key remove %s", old)
	return nil
}

// KeyRemove is `yipan key remove ID`.
type KeyRemove struct {
	Placed
	ID string `arg:"" help:"旧检索密钥的编号（见 yipan key list）|Id of the old index key, as yipan key list shows it"`
}

// Run destroys the key when nothing needs it any more.
func (c KeyRemove) Run(ctx context.Context, e *cli.Env) error {
	id, err := seal.ParseKeyID(c.ID)
	if err != nil {
		return fault.Invalid("KEY_ID", "no key id").Zh("“%.40s”不是密钥编号", c.ID)
	}
	return c.withKeys(ctx, e, func(f *keys.Files, use map[seal.KeyID]int64) error {
		for _, k := range f.Keys() {
			switch {
			case k.Use != seal.UseIndex || k.ID != id:
				continue
			case k.State != keys.Old:
				return fault.Conflict("KEY_IN_USE", "index key %s is %s", id, string(k.State)).Zh("检索密钥 %s 正在使用或待用，不能销毁", id)
			case use[id] > 0:
				return fault.Conflict("KEY_NEEDED", "%d rows lie under index key %s", use[id], id).
					Zh("还有 %d 行使用检索密钥 %s：请让节点运行，等它逐批重建（yipan key list 查看）", use[id], id)
			case time.Since(k.Retired) < settling:
				return fault.Conflict("KEY_SETTLING", "index key %s is old for less than %s", id, settling).
					Zh("更换还不到 1 小时，同一节点的其他进程可能还不知道：请在 %s 之后再试", k.Retired.Add(settling).Local().Format("15:04"))
			}
			if err := f.Remove(seal.UseIndex, id); err != nil {
				return readOnly(err)
			}
			if e.JSON {
				return object(e, map[string]string{"removed": id.String()})
			}
			say(e, "检索密钥 %s 已销毁；请同时销毁它的备份", "Index key %s was destroyed; destroy its backups too", id)
			return nil
		}
		return fault.NotFound("KEY_UNKNOWN", "no index key %s", id).Zh("没有检索密钥 %s", id)
	})
}

// withKeys opens keys and database, and counts the rows under each index key.
func (c Placed) withKeys(ctx context.Context, e *cli.Env, do func(*keys.Files, map[seal.KeyID]int64) error) error {
	l, err := c.load(e)
	if err != nil {
		return err
	}
	f, err := node.OpenKeys(&l.Config)
	if err != nil {
		return err
	}
	return withDatabase(ctx, l, e, func(d *node.Database) error {
		if _, err := d.Migrate(ctx); err != nil {
			return err
		}
		db, err := d.Open(ctx)
		if err != nil {
			return err
		}
		defer db.Close()
		use, err := node.IndexKeyUse(ctx, &l.Config, db)
		if err != nil {
			return err
		}
		return do(f, use)
	})
}

// readOnly explains keys that a unit was only lent.
func readOnly(err error) error {
	if f, ok := fault.As(err); ok && f.Reason == "KEYS_READ_ONLY" {
		return f.Zh("密钥由 systemd 交给节点，只读：请对原来的密钥目录运行（--set keys.dir=目录），再重启节点")
	}
	return err
}
