# Greets every name of the file $1.
while read -r name; do
  echo "Hello, $name!"
done < "$1"
