# Counts words and adds up fields: associative arrays, splitting, regular expressions and numbers.
{
    for (i = 1; i <= NF; i++) {
        count[$i]++
        letters += length($i)
    }
    if ($0 ~ /^ *def [a-z_]+\(/) {
        split($2, parts, "(")
        names[parts[1]] = NR
    }
    total = (total * 31 + NF) % 1000003
}

END {
    for (word in count)
        if (count[word] > most)
            most = count[word]
    for (name in names)
        lines += names[name]
    print NR, letters, total, most, lines
}
