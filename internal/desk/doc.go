// Package desk owns the verbs that people use: it authorises, decides and
// records. One method is one transaction; NATS is never on its path. Methods
// take the principal explicitly and return errors of package fault with a
// Chinese text for the clerk. It refuses what DOMAIN section 2 rules out: an
// item without a basis, a disclosure without consent, a verb that the shown
// state forbids.
package desk
