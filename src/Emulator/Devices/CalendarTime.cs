namespace Emulator.Devices;

/// <summary>A date and time of day in the proleptic Gregorian calendar, without a time zone.</summary>
internal readonly record struct CalendarTime(int Year, int Month, int Day, int Hour, int Minute, int Second)
{
    private const long SecondsPerDay = 86_400;

    /// <summary>Sunday is 1, as the MC146818 has it.</summary>
    public static int Weekday(long seconds)
    {
        // 1970-01-01 was a Thursday.
        long day = FloorDivide(seconds, SecondsPerDay) + 4;
        return (int)(day - (FloorDivide(day, 7) * 7)) + 1;
    }

    /// <summary>From seconds since 1970-01-01 00:00.</summary>
    public static CalendarTime FromSeconds(long seconds)
    {
        long days = FloorDivide(seconds, SecondsPerDay);
        int rest = (int)(seconds - (days * SecondsPerDay));

        // Years that begin in March put the leap day last; 400 of them have 146097 days.
        long shifted = days + 719_468;
        long era = FloorDivide(shifted, 146_097);
        int dayOfEra = (int)(shifted - (era * 146_097));
        int yearOfEra = (dayOfEra - (dayOfEra / 1460) + (dayOfEra / 36_524) - (dayOfEra / 146_096)) / 365;
        int dayOfYear = dayOfEra - ((365 * yearOfEra) + (yearOfEra / 4) - (yearOfEra / 100));
        int marchMonth = ((5 * dayOfYear) + 2) / 153;
        int day = dayOfYear - (((153 * marchMonth) + 2) / 5) + 1;
        int month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
        int year = (int)(yearOfEra + (era * 400)) + (month <= 2 ? 1 : 0);
        return new CalendarTime(year, month, day, rest / 3600, rest / 60 % 60, rest % 60);
    }

    /// <summary>To seconds since 1970-01-01 00:00. Any field may be out of its range: it then carries over.</summary>
    public long ToSeconds()
    {
        long monthIndex = (Year * 12L) + (Month - 1);
        long year = FloorDivide(monthIndex, 12);
        int month = (int)(monthIndex - (year * 12)) + 1;
        long marchYear = month <= 2 ? year - 1 : year;
        long era = FloorDivide(marchYear, 400);
        long yearOfEra = marchYear - (era * 400);
        long dayOfYear = (((153 * (month > 2 ? month - 3 : month + 9)) + 2) / 5) + Day - 1;
        long days = (era * 146_097) + (yearOfEra * 365) + (yearOfEra / 4) - (yearOfEra / 100) + dayOfYear - 719_468;
        return (days * SecondsPerDay) + (Hour * 3600L) + (Minute * 60L) + Second;
    }

    private static long FloorDivide(long value, long divisor) =>
        value >= 0 ? value / divisor : -((-value + divisor - 1) / divisor);
}
