package remind

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"yipan/internal/area"
	"yipan/internal/civil"
	"yipan/internal/fault"
	"yipan/internal/post"
	"yipan/internal/store"
)

const (
	// claimLasts is how long a sender may take before another one tries: more than
	// the post's own limit.
	claimLasts = 2 * time.Minute
	// A failed delivery is tried again after a minute, then twice as long each time
	// up to an hour, within the day's office hours.
	firstRest, longestRest = time.Minute, time.Hour
	mostTries              = 20
	// atOnce bounds how many deliveries wait for somebody's server together.
	atOnce = 8
	// keepDays is how long it is known what was delivered.
	keepDays = 60
)

// Send delivers the digests that are due, and returns how many. A day's is due
// from the beginning of the policy's office hours to their end: on working days,
// and on days off if somebody is on duty or something falls due. An office gets
// one a day by each of its channels, however many processes serve the node; one
// that fails is tried again, and says so in the office's reminder. A process that
// dies between the delivery and its record makes it happen again, under the same
// key.
func (r *Remind) Send(ctx context.Context) (int64, error) {
	if r.Deliver == nil {
		return 0, nil
	}
	now := r.Now()
	w, err := r.workday(civil.In(now))
	if err != nil || now.Before(w.from) || !now.Before(w.to) {
		return 0, err
	}
	offices := r.Desk.Offices()
	var set []store.Reminder
	err = r.DB.InExchange(ctx, offices, func(tx *store.Tx) (err error) {
		set, err = tx.Reminders(ctx, offices)
		return err
	})
	if err != nil {
		return 0, err
	}
	var sent atomic.Int64
	var g errgroup.Group
	g.SetLimit(atOnce)
	for _, m := range set {
		for channel, address := range map[int16]string{store.ByWebhook: m.Webhook, store.ByEmail: m.Email} {
			if address == "" {
				continue
			}
			g.Go(func() error {
				n, err := r.one(ctx, m, channel, w)
				sent.Add(n)
				return err
			})
		}
	}
	err = g.Wait()
	return sent.Load(), err
}

// one delivers an office's digest by a channel if that is still to be done.
func (r *Remind) one(ctx context.Context, m store.Reminder, channel int16, w workday) (int64, error) {
	d := store.ReminderDay{Office: m.Office, Day: w.day, Channel: channel}
	now := r.Now()
	err := r.exchange(ctx, m.Office, func(tx *store.Tx) (err error) {
		d.Tries, err = tx.ClaimReminder(ctx, m.Office, w.day, channel, now, now.Add(claimLasts), mostTries)
		if d.Tries == 1 {
			err = errors.Join(err, tx.DropReminderDays(ctx, m.Office, w.day.AddDays(-keepDays)))
		}
		return err
	})
	if err != nil || d.Tries == 0 {
		return 0, err
	}
	digest, err := r.digest(ctx, m.Office, w, m.DaysBefore)
	if err != nil {
		return 0, err // the claim runs out
	}
	sent := int64(0)
	switch {
	case len(digest.Lines) == 0 || w.off && len(digest.OnDuty) == 0 && !digest.presses():
		d.NextTry = w.to // nothing to say as the day begins: nothing is said that day
	default:
		if err := r.deliver(ctx, m, channel, &digest); err != nil {
			if ctx.Err() != nil {
				return 0, ctx.Err() // stopping: the claim runs out
			}
			d.Error, d.NextTry = codeOf(err), r.Now().Add(rest(d.Tries))
			r.Log.Warn("digest not delivered", "office", m.Office.String(), "channel", channel, "attempts", d.Tries, "reason", d.Error)
			break
		}
		ctx = context.WithoutCancel(ctx) // what was delivered is recorded, also while stopping
		sent, d.DeliveredAt = 1, r.Now()
		d.NextTry = d.DeliveredAt
	}
	return sent, r.exchange(ctx, m.Office, func(tx *store.Tx) error { return tx.SettleReminder(ctx, d) })
}

func (r *Remind) exchange(ctx context.Context, office area.Key, fn func(*store.Tx) error) error {
	return r.DB.InExchange(ctx, []area.Key{office}, fn)
}

func (r *Remind) deliver(ctx context.Context, m store.Reminder, channel int16, d *Digest) error {
	msg, err := d.message()
	if err != nil {
		return err
	}
	if channel == store.ByWebhook {
		msg.Webhook = m.Webhook
	} else {
		msg.Email = m.Email
	}
	return r.Deliver(ctx, msg)
}

// rest is how long a delivery rests after its n-th try.
func rest(n int16) time.Duration {
	d := firstRest
	for ; n > 1 && d < longestRest; n-- {
		d *= 2
	}
	return min(d, longestRest)
}

// codeOf keeps of an error what can hold no address and no secret.
func codeOf(err error) string {
	if e, ok := errors.AsType[*post.Error](err); ok {
		if e.Number != 0 {
			return e.Code + " " + strconv.Itoa(e.Number)
		}
		return e.Code
	}
	if f, ok := fault.As(err); ok {
		return f.Reason
	}
	return "FAILED"
}
