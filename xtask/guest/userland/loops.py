"""What programs in Python spend their time on: calls, attributes, lists, dictionaries, strings. loops.py TIMES"""

import sys


class Account:
    def __init__(self, owner, balance):
        self.owner = owner
        self.balance = balance
        self.history = []

    def move(self, amount):
        self.balance += amount
        self.history.append(amount)
        if len(self.history) > 50:
            self.history = self.history[25:]
        return self.balance


class Savings(Account):
    def move(self, amount):
        return super().move(amount - amount // 100)


def accounts(count):
    every = [(Savings if i % 3 else Account)("owner%d" % i, i) for i in range(20)]
    total = 0
    for i in range(count):
        account = every[i * 7 % len(every)]
        total = (total + account.move(i % 97 - 40)) % 1000003
    return total


def sieve(limit):
    prime = [True] * limit
    for i in range(2, int(limit**0.5) + 1):
        if prime[i]:
            for j in range(i * i, limit, i):
                prime[j] = False
    return sum(1 for p in prime[2:] if p)


def words(count):
    seen = {}
    for i in range(count):
        word = "w%d" % (i * i % 1009)
        seen[word] = seen.get(word, 0) + 1
    ordered = sorted(seen.items(), key=lambda item: (-item[1], item[0]))
    return "".join(word for word, _ in ordered[:20])


def queens(size, row=0, columns=(), up=(), down=()):
    if row == size:
        return 1
    found = 0
    for column in range(size):
        if column not in columns and row + column not in up and row - column not in down:
            found += queens(size, row + 1, columns + (column,), up + (row + column,), down + (row - column,))
    return found


for turn in range(int(sys.argv[1])):
    print(turn, accounts(8000), sieve(20000), words(6000), queens(6))
